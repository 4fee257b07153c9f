/** Where keys and values live: one pair of buffers a layer, a row for each sequence, written in place, grown in steps. */
import {
  CACHE_COPY_IO,
  cacheCopyGraph,
  COMPUTE_TYPE_BYTES,
  type ComputeType,
  type ModelDescription,
} from "@llava/models";
import { type Binding, RuntimeError, Session, type SessionOptions, Value } from "@llava/runtime";

type Text = Pick<ModelDescription["text"], "layers" | "kvHeads" | "headSize" | "contextLength">;

/** Capacity grows by this many positions, so that a few requests do not each allocate anew. */
const GROWTH = 256;

/** Keys and values of some neighbouring rows: [rows, kvHeads, capacity, headSize] each. */
export interface LayerCache {
  readonly key: Value;
  readonly value: Value;
}

/**
 * A row holds one sequence. There are as many rows, of as many positions, as the sequences so far needed, never as many
 * as the model's whole context up front: at 7B that would be gigabytes.
 */
export class KvCache implements Disposable {
  readonly #session: Session;
  readonly #text: Text;
  readonly #computeType: ComputeType;
  #limitBytes: number;
  /** Key and value of layer 0, of layer 1, …: [rows, kvHeads, capacity, headSize] */
  #buffers: readonly Value[] = [];
  #rows = 0;
  #capacity = 0;
  readonly #views = new Map<string, readonly LayerCache[]>();

  private constructor(session: Session, text: Text, limitBytes: number, computeType: ComputeType) {
    this.#session = session;
    this.#text = text;
    this.#limitBytes = limitBytes;
    this.#computeType = computeType;
  }

  /** A cache without slots, which never takes more than `limitBytes`; keys and values are of the compute type. */
  static async load(
    text: Text,
    limitBytes: number,
    options: SessionOptions,
    computeType: ComputeType = "float32",
  ): Promise<KvCache> {
    const session = await Session.load(cacheCopyGraph(text, computeType), options);
    return new KvCache(session, text, limitBytes, computeType);
  }

  get rows(): number {
    return this.#rows;
  }

  /** Positions of each row. */
  get capacity(): number {
    return this.#capacity;
  }

  get bytes(): number {
    return this.#bytesFor(this.#rows, this.#capacity);
  }

  /** What `rows` of `positions` would take is within the limit. */
  fits(rows: number, positions: number): boolean {
    return this.#bytesFor(rows, this.stepped(positions)) <= this.#limitBytes;
  }

  /** The capacity that a row gets when it shall hold `positions`. Throws RangeError for more than the model's context. */
  stepped(positions: number): number {
    const { contextLength } = this.#text;
    if (positions > contextLength)
      throw new RangeError(`${positions} positions are more than the context of ${contextLength}.`);
    return Math.min(contextLength, Math.ceil(positions / GROWTH) * GROWTH);
  }

  /** For a sentence to whom the limit is too low. */
  describeNeed(rows: number, positions: number): string {
    const need = this.#bytesFor(rows, this.stepped(positions));
    return `${mebibytes(need)} MiB for keys and values of ${positions} positions, but the limit is ${mebibytes(this.#limitBytes)} MiB`;
  }

  /**
   * Room for `positions` in each of `rows`. What stays in both sizes is kept; the first rows and positions stay. When
   * there is no memory, throws `out_of_memory`; the cache has no rows any more, and never becomes larger than it was.
   */
  async resize(rows: number, positions: number): Promise<void> {
    const capacity = this.stepped(positions);
    if (rows === this.#rows && capacity === this.#capacity) return;
    this.#dropViews();
    const before = { rows: this.#rows, capacity: this.#capacity };
    const buffers = [...this.#buffers];
    const count = 2 * this.#text.layers;
    try {
      for (let i = 0; i < count; i++) {
        const next = this.#session.allocate(this.#computeType, this.#shape(rows, capacity));
        const old = buffers[i];
        buffers[i] = next;
        if (!old) continue;
        using released = old;
        await this.#copy(released, next, [rows - before.rows, capacity - before.capacity]);
      }
    } catch (error) {
      for (const buffer of buffers) buffer[Symbol.dispose]();
      if (before.rows > 0) this.#limitBytes = this.#bytesFor(before.rows, before.capacity);
      this.#forget();
      throw error;
    }
    this.#buffers = buffers;
    this.#rows = rows;
    this.#capacity = capacity;
  }

  /** Row `to` becomes what row `from` is. */
  async copyRow(from: number, to: number): Promise<void> {
    const source = this.view(from, 1);
    const target = this.view(to, 1);
    for (const [layer, { key, value }] of source.entries()) {
      const goal = target[layer];
      if (!goal) continue;
      await this.#copy(key, goal.key, [0, 0]);
      await this.#copy(value, goal.value, [0, 0]);
    }
  }

  /** The rows from `first` on, of every layer; theirs until the next `resize`. */
  view(first: number, rows: number): readonly LayerCache[] {
    const key = `${first}+${rows}`;
    const known = this.#views.get(key);
    if (known) return known;
    const views = this.#buffers.map((buffer) => this.#viewOf(buffer, first, rows));
    const layers: LayerCache[] = [];
    for (let i = 0; i + 1 < views.length; i += 2) {
      const [layerKey, layerValue] = [views[i], views[i + 1]];
      if (layerKey && layerValue) layers.push({ key: layerKey, value: layerValue });
    }
    this.#views.set(key, layers);
    return layers;
  }

  [Symbol.dispose](): void {
    this.#dropViews();
    for (const buffer of this.#buffers) buffer[Symbol.dispose]();
    this.#forget();
    this.#session[Symbol.dispose]();
  }

  /** All rows are the buffer itself: there are devices whose memory has no views. */
  #viewOf(buffer: Value, first: number, rows: number): Value {
    if (first < 0 || first + rows > this.#rows)
      throw new RangeError(
        `CacheSlots ${first} to ${first + rows - 1} are not among the ${this.#rows} of the cache.`,
      );
    if (rows === this.#rows) return buffer;
    const { kvHeads, headSize } = this.#text;
    return buffer.view(first * kvHeads * this.#capacity * headSize, this.#shape(rows, this.#capacity));
  }

  /** `more`: rows and positions that the target has beyond the source's; fewer when negative. */
  async #copy(source: Value, target: Value, [rows, positions]: readonly [number, number]): Promise<void> {
    using pads = Value.wrap(
      "int64",
      BigInt64Array.of(0n, 0n, 0n, 0n, BigInt(rows), 0n, BigInt(positions), 0n),
      [8],
    );
    using binding: Binding = this.#session.bind();
    binding.input(CACHE_COPY_IO.source, source).input(CACHE_COPY_IO.pads, pads);
    binding.output(CACHE_COPY_IO.target, target);
    await binding.run();
  }

  #shape(rows: number, capacity: number): readonly number[] {
    return [rows, this.#text.kvHeads, capacity, this.#text.headSize];
  }

  #bytesFor(rows: number, capacity: number): number {
    const { layers, kvHeads, headSize } = this.#text;
    return 2 * layers * rows * kvHeads * capacity * headSize * COMPUTE_TYPE_BYTES[this.#computeType];
  }

  #dropViews(): void {
    const views = [...this.#views.values()].flat().flatMap(({ key, value }) => [key, value]);
    for (const view of views) if (!this.#buffers.includes(view)) view[Symbol.dispose]();
    this.#views.clear();
  }

  #forget(): void {
    this.#buffers = [];
    this.#rows = 0;
    this.#capacity = 0;
  }
}

/** Whether the runtime, or the process, had no memory for it. */
export function isOutOfMemory(error: unknown): boolean {
  return error instanceof RuntimeError && error.code === "out_of_memory";
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20);
}
