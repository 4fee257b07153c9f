/** The language model over its KV cache: prompt chunks and single tokens → logits. */
import { DECODER_IO, decoderGraph, type WeightSource } from "@llava/architecture";
import type { ModelDescription } from "@llava/model";
import { type Binding, Session, type SessionOptions, Value } from "@llava/runtime";
import { KvCache } from "./kv-cache.ts";

export interface Chunk {
  /** [tokens] */
  readonly ids: readonly number[];
  /** [tokens]: row of `features` at each position, or −1 for text. */
  readonly featureRows: readonly number[];
  /** Features of the one picture that this chunk touches, [n, hidden]. */
  readonly features: Value | undefined;
  /** Positions that the cache holds already. */
  readonly past: number;
  /** Positions of the chunk whose logits are wanted, counted from its start. */
  readonly logitRows: readonly number[];
}

export class Decoder implements Disposable {
  readonly cache: KvCache;
  readonly #session: Session;
  #binding: Binding;
  readonly #vocabulary: number;
  /** Stands for features where there is no picture. */
  readonly #noFeatures: Value;

  private constructor(session: Session, model: ModelDescription, slots: number) {
    this.#session = session;
    this.#binding = session.bind();
    this.#vocabulary = model.text.vocabSize;
    this.#noFeatures = Value.wrap("float32", new Float32Array(model.text.hiddenSize), [
      1,
      model.text.hiddenSize,
    ]);
    this.cache = new KvCache((shape) => session.allocate("float32", shape), model.text, slots);
  }

  static async load(
    model: ModelDescription,
    weights: WeightSource,
    slots: number,
    options: SessionOptions,
  ): Promise<Decoder> {
    return new Decoder(await Session.load(decoderGraph(model, weights), options), model, slots);
  }

  /** Room for a sequence of `positions`; loses what the cache holds when it has to grow. Throws `out_of_memory`. */
  reserve(positions: number): void {
    if (positions <= this.cache.capacity) return;
    // A binding keeps what is in it alive: without it the old buffers are gone before the new ones are made.
    this.#binding[Symbol.dispose]();
    this.#binding = this.#session.bind();
    this.cache.reserve(positions);
    this.cache.layers.forEach(({ key, value }, layer) => {
      this.#binding.input(DECODER_IO.pastKey(layer), key).output(DECODER_IO.presentKey(layer), key);
      this.#binding.input(DECODER_IO.pastValue(layer), value).output(DECODER_IO.presentValue(layer), value);
    });
  }

  /** Logits [logitRows, vocabulary] of one chunk of one sequence; its keys and values are in the cache afterwards. */
  async run(chunk: Chunk, signal: AbortSignal): Promise<Float32Array> {
    const tokens = chunk.ids.length;
    const total = chunk.past + tokens;
    // ONNX Runtime would silently move to a larger buffer of its own, or fail with a shape error.
    if (total > this.cache.capacity)
      throw new Error(`${total} positions do not fit a cache of ${this.cache.capacity}.`);
    const logits = new Float32Array(chunk.logitRows.length * this.#vocabulary);
    using scope = new DisposableStack();
    const wrap = (value: Value): Value => scope.use(value);
    this.#binding
      .input(DECODER_IO.ids, wrap(int64(chunk.ids, [1, tokens])))
      .input(DECODER_IO.featureRows, wrap(int64(chunk.featureRows, [1, tokens])))
      .input(DECODER_IO.features, chunk.features ?? this.#noFeatures)
      .input(DECODER_IO.logitRows, wrap(int64(chunk.logitRows, [chunk.logitRows.length])))
      .input(DECODER_IO.lastPositions, wrap(Value.wrap("int32", Int32Array.of(total - 1), [1])))
      .input(DECODER_IO.totalLength, wrap(Value.wrap("int32", Int32Array.of(total), [])))
      .output(
        DECODER_IO.logits,
        wrap(Value.wrap("float32", logits, [chunk.logitRows.length, this.#vocabulary])),
      );
    await this.#binding.run({ signal });
    return logits;
  }

  [Symbol.dispose](): void {
    this.#binding[Symbol.dispose]();
    this.cache[Symbol.dispose]();
    this.#noFeatures[Symbol.dispose]();
    this.#session[Symbol.dispose]();
  }
}

function int64(values: readonly number[], shape: readonly number[]): Value {
  return Value.wrap("int64", BigInt64Array.from(values, BigInt), shape);
}
