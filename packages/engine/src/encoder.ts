/** The vision tower and the projector: pixels → rows of the language model's embedding space. */
import { ENCODER_IO, encoderGraph, type WeightSource } from "@llava/architecture";
import type { ModelDescription } from "@llava/model";
import { Session, type SessionOptions, Value } from "@llava/runtime";

export class Encoder implements Disposable {
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
  ): Promise<Encoder> {
    return new Encoder(await Session.load(encoderGraph(model, weights), options), model);
  }

  /** pixels [3, size, size] → features [tokens, hidden], on the host; the caller disposes them. */
  async encode(pixels: Float32Array, signal: AbortSignal): Promise<Value> {
    using input = Value.wrap("float32", pixels, [1, 3, this.#size, this.#size]);
    const { [ENCODER_IO.features]: features } = await this.#session.run(
      { pixels: input },
      [ENCODER_IO.features],
      { signal },
    );
    if (!features) throw new Error("The encoder gave no features.");
    using owned = features;
    return owned.view(0, [this.#tokens, this.#hidden]);
  }

  [Symbol.dispose](): void {
    this.#session[Symbol.dispose]();
  }
}
