/** Runs the vision tower and the projector: pixels of tiles → rows of the language model's embedding space. */
import { ENCODER_IO, encoderGraph, type WeightSource } from "@llava/models";
import type { ModelDescription } from "@llava/models";
import { Session, type SessionOptions, Value } from "@llava/runtime";

export class VisionEncoder implements Disposable {
  readonly #session: Session;
  readonly #size: number;
  readonly #tokens: number;
  readonly #hidden: number;

  private constructor(session: Session, model: ModelDescription) {
    this.#session = session;
    this.#size = model.vision.imageSize;
    this.#tokens = model.vision.tokensPerImage;
    this.#hidden = model.projector.outputSize;
  }

  static async load(
    model: ModelDescription,
    weights: WeightSource,
    options: SessionOptions,
  ): Promise<VisionEncoder> {
    return new VisionEncoder(await Session.load(encoderGraph(model, weights), options), model);
  }

  /** Bytes of one tile's features. */
  get bytes(): number {
    return this.#tokens * this.#hidden * Float32Array.BYTES_PER_ELEMENT;
  }

  /** Pixels [3, size, size] of each tile → features [tokens, hidden] of each, on the host; the caller disposes them. */
  async encode(tiles: readonly Float32Array[], signal: AbortSignal): Promise<Value[]> {
    const pixels = new Float32Array(tiles.length * 3 * this.#size ** 2);
    for (const [i, tile] of tiles.entries()) pixels.set(tile, i * tile.length);
    using input = Value.wrap("float32", pixels, [tiles.length, 3, this.#size, this.#size]);
    const { [ENCODER_IO.features]: features } = await this.#session.run(
      { pixels: input },
      [ENCODER_IO.features],
      { signal },
    );
    if (!features) throw new Error("The encoder gave no features.");
    using batch = features;
    const shape = [this.#tokens, this.#hidden];
    const length = this.#tokens * this.#hidden;
    // Copies of their own: one image's features are forgotten before another's.
    const all = batch.data() as Float32Array;
    return tiles.map((_, i) => Value.wrap("float32", all.slice(i * length, (i + 1) * length), shape));
  }

  [Symbol.dispose](): void {
    this.#session[Symbol.dispose]();
  }
}
