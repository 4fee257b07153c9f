/** Runs the vision tower and the projector: pixels of tiles → rows of the language model's embedding space. */
import {
  COMPUTE_TYPE_BYTES,
  type ComputeType,
  ENCODER_IO,
  encoderGraph,
  type ModelDescription,
  type WeightSource,
} from "@llava/models";
import { Session, type SessionOptions, Value } from "@llava/runtime";

export class VisionEncoder implements Disposable {
  readonly #session: Session;
  readonly #size: number;
  readonly #tokens: number;
  readonly #hidden: number;
  readonly #computeType: ComputeType;

  private constructor(session: Session, model: ModelDescription, computeType: ComputeType) {
    this.#session = session;
    this.#size = model.vision.imageSize;
    this.#tokens = model.vision.tokensPerImage;
    this.#hidden = model.projector.outputSize;
    this.#computeType = computeType;
  }

  static async load(
    model: ModelDescription,
    weights: WeightSource,
    options: SessionOptions,
    computeType: ComputeType = "float32",
  ): Promise<VisionEncoder> {
    const session = await Session.load(encoderGraph(model, weights, computeType), options);
    return new VisionEncoder(session, model, computeType);
  }

  /** Bytes of one tile's features. */
  get bytes(): number {
    return this.#tokens * this.#hidden * COMPUTE_TYPE_BYTES[this.#computeType];
  }

  /**
   * Pixels [3, size, size] of each tile → features [tokens, hidden] of each, of the compute type, on the host; the caller
   * disposes them.
   */
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
    // A copy for each tile: one image's features are forgotten before another's.
    const all = batch.data();
    return tiles.map((_, i) => Value.wrap(batch.dtype, all.slice(i * length, (i + 1) * length), shape));
  }

  [Symbol.dispose](): void {
    this.#session[Symbol.dispose]();
  }
}
