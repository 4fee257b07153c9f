/** The language model over its KV cache: prompt chunks of one row, single tokens of many → logits. */
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
  readonly row: number;
  /** [tokens] */
  readonly ids: readonly number[];
  /** [tokens]: row of `features` at each position, or −1 for text. */
  readonly featureRows: readonly number[];
  /** Features of the one image that this chunk touches, [n, hidden]. */
  readonly features: Value | undefined;
  /** Positions that the row holds already. */
  readonly past: number;
  /** Positions of the chunk whose logits are wanted, counted from its start. */
  readonly logitRows: readonly number[];
}

/** One token of text for each of some neighbouring rows. */
export interface Tokens {
  readonly firstRow: number;
  /** [rows] */
  readonly ids: readonly number[];
  /** [rows]: positions that each row holds already. */
  readonly pasts: readonly number[];
}

/** Bound once, filled anew for each step. */
interface Frame extends Disposable {
  readonly binding: Binding;
  readonly ids: BigInt64Array;
  readonly lastPositions: Int32Array;
  readonly totalLength: Int32Array;
  /** [rows, vocabulary] */
  readonly logits: Float32Array;
}

/** Of so many ranges of rows the frames are kept. */
const MOST_FRAMES = 32;

export class Decoder implements Disposable {
  readonly cache: KvCache;
  readonly #session: Session;
  readonly #vocabulary: number;
  /** Stands for features where there is no image. */
  readonly #noFeatures: Value;
  readonly #frames = new Map<string, Frame>();

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
  async resize(rows: number, positions: number): Promise<void> {
    // A binding keeps what is in it alive: without this the old buffers stay beside the new ones.
    this.#dropFrames();
    await this.cache.resize(rows, positions);
  }

  /** Logits [logitRows, vocabulary]; the chunk's keys and values are in the cache afterwards. */
  async prefill(chunk: Chunk, signal: AbortSignal): Promise<Float32Array> {
    const tokens = chunk.ids.length;
    const total = chunk.past + tokens;
    this.#requireRoom(total);
    const logits = new Float32Array(chunk.logitRows.length * this.#vocabulary);
    using scope = new DisposableStack();
    const wrap = (value: Value): Value => scope.use(value);
    const binding = scope.use(this.#bind(chunk.row, 1));
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

  /** Logits [rows, vocabulary], whose memory the next call writes over. */
  async decode({ firstRow, ids, pasts }: Tokens, signal: AbortSignal | undefined): Promise<Float32Array> {
    const total = Math.max(...pasts) + 1;
    this.#requireRoom(total);
    const frame = this.#frame(firstRow, ids.length);
    for (const [row, id] of ids.entries()) frame.ids[row] = BigInt(id);
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

  #frame(firstRow: number, rows: number): Frame {
    const key = `${firstRow}+${rows}`;
    const known = this.#frames.get(key);
    if (known) return known;
    if (this.#frames.size >= MOST_FRAMES) this.#dropFrames();
    const frame = this.#makeFrame(firstRow, rows);
    this.#frames.set(key, frame);
    return frame;
  }

  #makeFrame(firstRow: number, rows: number): Frame {
    using scope = new DisposableStack();
    const wrap = (value: Value): Value => scope.use(value);
    const binding = scope.use(this.#bind(firstRow, rows));
    const ids = new BigInt64Array(rows);
    const lastPositions = new Int32Array(rows);
    const totalLength = new Int32Array(1);
    const logits = new Float32Array(rows * this.#vocabulary);
    binding
      .input(DECODER_IO.ids, wrap(Value.wrap("int64", ids, [rows, 1])))
      .input(DECODER_IO.featureRows, wrap(Value.wrap("int64", new BigInt64Array(rows).fill(-1n), [rows, 1])))
      .input(DECODER_IO.features, this.#noFeatures)
      .input(
        DECODER_IO.logitRows,
        wrap(
          int64(
            Array.from({ length: rows }, (_, row) => row),
            [rows],
          ),
        ),
      )
      .input(DECODER_IO.lastPositions, wrap(Value.wrap("int32", lastPositions, [rows])))
      .input(DECODER_IO.totalLength, wrap(Value.wrap("int32", totalLength, [])))
      .output(DECODER_IO.logits, wrap(Value.wrap("float32", logits, [rows, this.#vocabulary])));
    const owned = scope.move();
    return { binding, ids, lastPositions, totalLength, logits, [Symbol.dispose]: () => owned.dispose() };
  }

  #bind(firstRow: number, rows: number): Binding {
    const binding = this.#session.bind();
    for (const [layer, { key, value }] of this.cache.view(firstRow, rows).entries()) {
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
