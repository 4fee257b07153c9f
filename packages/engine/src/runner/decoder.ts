/** Decoder runs the language model over its KV cache: prompt chunks of one slot, single tokens of many → logits. */
import {
  type ComputeType,
  DECODER_IO,
  decoderGraph,
  type ModelDescription,
  type WeightSource,
} from "@llava/models";
import { type Binding, Session, type SessionOptions, Value } from "@llava/runtime";
import { KvCache } from "../kv-cache/kv-cache.ts";

/** Consecutive positions of one sequence. */
export interface Chunk {
  readonly slot: number;
  /** [tokens] */
  readonly ids: readonly number[];
  /** [tokens]: row of `features` at each position, or −1 for text. */
  readonly featureRows: readonly number[];
  /** Features of the one image that this chunk touches, [n, hidden]. */
  readonly features: Value | undefined;
  /** Positions that the slot holds already. */
  readonly past: number;
  /** Positions of the chunk whose logits are wanted, counted from its start; never empty. */
  readonly logitRows: readonly number[];
}

/** One token of text for each of some neighbouring slots. */
export interface Tokens {
  readonly firstSlot: number;
  /** [slots] */
  readonly ids: readonly number[];
  /** [slots]: positions that each slot holds already. */
  readonly pasts: readonly number[];
}

/** The inputs and outputs of one range of slots: bound once, filled anew for each step. */
interface DecodeFrame extends Disposable {
  readonly binding: Binding;
  readonly ids: BigInt64Array;
  readonly lastPositions: Int32Array;
  readonly totalLength: Int32Array;
  /** [slots, vocabulary] */
  readonly logits: Float32Array;
}

/** Most ranges of slots whose frames are kept. */
const MOST_FRAMES = 32;

export class Decoder implements Disposable {
  readonly cache: KvCache;
  readonly #session: Session;
  readonly #vocabulary: number;
  /** Features of a run without an image, [1, hidden]; never read. */
  readonly #noFeatures: Value;
  readonly #frames = new Map<string, DecodeFrame>();

  private constructor(session: Session, model: ModelDescription, cache: KvCache, noFeatures: Value) {
    this.#session = session;
    this.#vocabulary = model.text.vocabSize;
    this.#noFeatures = noFeatures;
    this.cache = cache;
  }

  static async load(
    model: ModelDescription,
    weights: WeightSource,
    cacheBytes: number,
    options: SessionOptions,
    computeType: ComputeType = "float32",
  ): Promise<Decoder> {
    using loaded = new DisposableStack();
    const session = loaded.use(await Session.load(decoderGraph(model, weights, computeType), options));
    const cache = loaded.use(await KvCache.load(model.text, cacheBytes, options, computeType));
    const noFeatures = session.allocate(computeType, [1, model.text.hiddenSize]);
    loaded.move();
    return new Decoder(session, model, cache, noFeatures);
  }

  /** As `KvCache.resize`. */
  async resize(slots: number, positions: number): Promise<void> {
    // A binding keeps its values alive: with frames the old buffers would stay beside the new ones.
    this.#dropFrames();
    await this.cache.resize(slots, positions);
  }

  /** Logits [logitRows, vocabulary]; the chunk's keys and values are in the cache afterwards. */
  async prefill(chunk: Chunk, signal: AbortSignal): Promise<Float32Array> {
    const tokens = chunk.ids.length;
    const total = chunk.past + tokens;
    this.#requireRoom(total);
    const logits = new Float32Array(chunk.logitRows.length * this.#vocabulary);
    using scope = new DisposableStack();
    const wrap = (value: Value): Value => scope.use(value);
    const binding = scope.use(this.#bind(chunk.slot, 1));
    binding
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
    await binding.run({ signal });
    return logits;
  }

  /** Logits [slots, vocabulary], whose memory the next call writes over. */
  async decode({ firstSlot, ids, pasts }: Tokens, signal: AbortSignal | undefined): Promise<Float32Array> {
    const total = Math.max(...pasts) + 1;
    this.#requireRoom(total);
    const frame = this.#frame(firstSlot, ids.length);
    for (const [i, id] of ids.entries()) frame.ids[i] = BigInt(id);
    frame.lastPositions.set(pasts);
    frame.totalLength[0] = total;
    await frame.binding.run({ signal });
    return frame.logits;
  }

  [Symbol.dispose](): void {
    this.#dropFrames();
    this.cache[Symbol.dispose]();
    this.#noFeatures[Symbol.dispose]();
    this.#session[Symbol.dispose]();
  }

  /** ONNX Runtime would silently move to a larger buffer of its own, or fail with a shape error. */
  #requireRoom(positions: number): void {
    if (positions > this.cache.capacity)
      throw new Error(`${positions} positions do not fit a cache of ${this.cache.capacity}.`);
  }

  #frame(firstSlot: number, slots: number): DecodeFrame {
    const key = `${firstSlot}+${slots}`;
    const known = this.#frames.get(key);
    if (known) return known;
    if (this.#frames.size >= MOST_FRAMES) this.#dropFrames();
    const frame = this.#makeFrame(firstSlot, slots);
    this.#frames.set(key, frame);
    return frame;
  }

  #makeFrame(firstSlot: number, slots: number): DecodeFrame {
    using scope = new DisposableStack();
    const wrap = (value: Value): Value => scope.use(value);
    const binding = scope.use(this.#bind(firstSlot, slots));
    const ids = new BigInt64Array(slots);
    const lastPositions = new Int32Array(slots);
    const totalLength = new Int32Array(1);
    const logits = new Float32Array(slots * this.#vocabulary);
    binding
      .input(DECODER_IO.ids, wrap(Value.wrap("int64", ids, [slots, 1])))
      .input(
        DECODER_IO.featureRows,
        wrap(Value.wrap("int64", new BigInt64Array(slots).fill(-1n), [slots, 1])),
      )
      .input(DECODER_IO.features, this.#noFeatures)
      .input(
        DECODER_IO.logitRows,
        wrap(
          int64(
            Array.from({ length: slots }, (_, i) => i),
            [slots],
          ),
        ),
      )
      .input(DECODER_IO.lastPositions, wrap(Value.wrap("int32", lastPositions, [slots])))
      .input(DECODER_IO.totalLength, wrap(Value.wrap("int32", totalLength, [])))
      .output(DECODER_IO.logits, wrap(Value.wrap("float32", logits, [slots, this.#vocabulary])));
    const owned = scope.move();
    return { binding, ids, lastPositions, totalLength, logits, [Symbol.dispose]: () => owned.dispose() };
  }

  #bind(firstSlot: number, slots: number): Binding {
    const binding = this.#session.bind();
    for (const [layer, { key, value }] of this.cache.view(firstSlot, slots).entries()) {
      binding.input(DECODER_IO.pastKey(layer), key).output(DECODER_IO.presentKey(layer), key);
      binding.input(DECODER_IO.pastValue(layer), value).output(DECODER_IO.presentValue(layer), value);
    }
    return binding;
  }

  #dropFrames(): void {
    for (const frame of this.#frames.values()) frame[Symbol.dispose]();
    this.#frames.clear();
  }
}

function int64(values: readonly number[], shape: readonly number[]): Value {
  return Value.wrap("int64", BigInt64Array.from(values, BigInt), shape);
}
