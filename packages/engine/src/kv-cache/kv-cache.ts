/** KvCache holds keys and values: one pair of buffers a layer, a slot for each sequence, written in place, grown in steps. */
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

/** Keys and values of one layer in some neighbouring slots: [slots, kvHeads, capacity, headSize] each. */
export interface LayerCache {
  readonly key: Value;
  readonly value: Value;
}

/**
 * A slot holds one sequence. There are as many slots, of as many positions, as the sequences so far needed, never as many
 * as the model's whole context up front: at 7B that would be gigabytes.
 */
export class KvCache implements Disposable {
  readonly #session: Session;
  readonly #text: Text;
  readonly #computeType: ComputeType;
  #limitBytes: number;
  /** Key and value of layer 0, of layer 1, …: [slots, kvHeads, capacity, headSize] */
  #buffers: readonly Value[] = [];
  #slots = 0;
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

  get slots(): number {
    return this.#slots;
  }

  /** Positions of each slot. */
  get capacity(): number {
    return this.#capacity;
  }

  get bytes(): number {
    return this.#bytesFor(this.#slots, this.#capacity);
  }

  /** Whether the bytes of so many slots of so many positions are within the limit. */
  fits(slots: number, positions: number): boolean {
    return this.#bytesFor(slots, this.stepped(positions)) <= this.#limitBytes;
  }

  /** The capacity of a slot that holds `positions`. Throws RangeError for more than the model's context. */
  stepped(positions: number): number {
    const { contextLength } = this.#text;
    if (positions > contextLength)
      throw new RangeError(`${positions} positions are more than the context of ${contextLength}.`);
    return Math.min(contextLength, Math.ceil(positions / GROWTH) * GROWTH);
  }

  /** A clause for the error sentence of a request that the limit is too low for. */
  describeNeed(slots: number, positions: number): string {
    const need = this.#bytesFor(slots, this.stepped(positions));
    return `${mebibytes(need)} MiB for keys and values of ${positions} positions, but the limit is ${mebibytes(this.#limitBytes)} MiB`;
  }

  /**
   * Makes room for `positions` in each of `slots`. What fits both sizes is kept: the first slots and positions. When there
   * is no memory, throws `out_of_memory`; the cache then has no slots any more, and never becomes larger than it was.
   */
  async resize(slots: number, positions: number): Promise<void> {
    const capacity = this.stepped(positions);
    if (slots === this.#slots && capacity === this.#capacity) return;
    this.#dropViews();
    const before = { slots: this.#slots, capacity: this.#capacity };
    const buffers = [...this.#buffers];
    const count = 2 * this.#text.layers;
    try {
      for (let i = 0; i < count; i++) {
        const next = this.#session.allocate(this.#computeType, this.#shape(slots, capacity));
        const old = buffers[i];
        buffers[i] = next;
        if (!old) continue;
        using released = old;
        await this.#copy(released, next, [slots - before.slots, capacity - before.capacity]);
      }
    } catch (error) {
      for (const buffer of buffers) buffer[Symbol.dispose]();
      if (before.slots > 0) this.#limitBytes = this.#bytesFor(before.slots, before.capacity);
      this.#forget();
      throw error;
    }
    this.#buffers = buffers;
    this.#slots = slots;
    this.#capacity = capacity;
  }

  /** Copies all that slot `from` holds into slot `to`. */
  async copySlot(from: number, to: number): Promise<void> {
    const source = this.view(from, 1);
    const target = this.view(to, 1);
    for (const [layer, { key, value }] of source.entries()) {
      const goal = target[layer];
      if (!goal) continue;
      await this.#copy(key, goal.key, [0, 0]);
      await this.#copy(value, goal.value, [0, 0]);
    }
  }

  /** `slots` slots from `first` on, of every layer; valid until the next `resize`. */
  view(first: number, slots: number): readonly LayerCache[] {
    const key = `${first}+${slots}`;
    const known = this.#views.get(key);
    if (known) return known;
    const views = this.#buffers.map((buffer) => this.#viewOf(buffer, first, slots));
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

  /** A view of all slots is the buffer itself: memory of WebGPU has no views. */
  #viewOf(buffer: Value, first: number, slots: number): Value {
    if (first < 0 || first + slots > this.#slots)
      throw new RangeError(
        `Slots ${first} to ${first + slots - 1} are not among the ${this.#slots} of the cache.`,
      );
    if (slots === this.#slots) return buffer;
    const { kvHeads, headSize } = this.#text;
    return buffer.view(first * kvHeads * this.#capacity * headSize, this.#shape(slots, this.#capacity));
  }

  /** Copies a buffer; the pair is how many slots and positions more the target has, negative for fewer. */
  async #copy(source: Value, target: Value, [slots, positions]: readonly [number, number]): Promise<void> {
    using pads = Value.wrap(
      "int64",
      BigInt64Array.of(0n, 0n, 0n, 0n, BigInt(slots), 0n, BigInt(positions), 0n),
      [8],
    );
    using binding: Binding = this.#session.bind();
    binding.input(CACHE_COPY_IO.source, source).input(CACHE_COPY_IO.pads, pads);
    binding.output(CACHE_COPY_IO.target, target);
    await binding.run();
  }

  #shape(slots: number, capacity: number): readonly number[] {
    return [slots, this.#text.kvHeads, capacity, this.#text.headSize];
  }

  #bytesFor(slots: number, capacity: number): number {
    const { layers, kvHeads, headSize } = this.#text;
    return 2 * layers * slots * kvHeads * capacity * headSize * COMPUTE_TYPE_BYTES[this.#computeType];
  }

  #dropViews(): void {
    const views = [...this.#views.values()].flat().flatMap(({ key, value }) => [key, value]);
    for (const view of views) if (!this.#buffers.includes(view)) view[Symbol.dispose]();
    this.#views.clear();
  }

  #forget(): void {
    this.#buffers = [];
    this.#slots = 0;
    this.#capacity = 0;
  }
}

/** Whether an allocation failed, in ONNX Runtime or in the process. */
export function isOutOfMemory(error: unknown): boolean {
  return error instanceof RuntimeError && error.code === "out_of_memory";
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20);
}
