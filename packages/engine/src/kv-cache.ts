/** Where keys and values live: one pair of buffers a layer, written in place, grown in steps. */
import type { ModelDescription } from "@llava/model";
import type { Value } from "@llava/runtime";

type Text = Pick<ModelDescription["text"], "layers" | "kvHeads" | "headSize" | "contextLength">;

/** Capacity grows by this many positions, so that a few requests do not each allocate anew. */
const GROWTH = 256;

export interface LayerCache {
  /** [slots, kvHeads, capacity, headSize] */
  readonly key: Value;
  readonly value: Value;
}

/**
 * A slot holds one sequence. The buffers are as long as the longest sequence so far needed, never as long as the
 * model's whole context up front: at 7B that would be gigabytes.
 */
export class KvCache implements Disposable {
  readonly slots: number;
  readonly #allocate: (shape: readonly number[]) => Value;
  readonly #text: Text;
  readonly #free: number[];
  #layers: readonly LayerCache[] = [];
  #capacity = 0;

  /** `allocate` makes a float32 value on the device where the model runs. */
  constructor(allocate: (shape: readonly number[]) => Value, text: Text, slots: number) {
    this.#allocate = allocate;
    this.#text = text;
    this.slots = slots;
    this.#free = Array.from({ length: slots }, (_, slot) => slot);
  }

  get layers(): readonly LayerCache[] {
    return this.#layers;
  }

  get capacity(): number {
    return this.#capacity;
  }

  get freeSlots(): number {
    return this.#free.length;
  }

  /** A free slot, or undefined when all are taken. */
  take(): number | undefined {
    return this.#free.shift();
  }

  release(slot: number): void {
    const isTaken = Number.isInteger(slot) && slot >= 0 && slot < this.slots && !this.#free.includes(slot);
    if (!isTaken) throw new Error(`Slot ${slot} was released, but nobody holds it.`);
    this.#free.push(slot);
  }

  /**
   * Room for `positions` in every slot. What the slots hold is lost when it has to grow; true if it did. Throws
   * `out_of_memory`, and is empty then.
   */
  reserve(positions: number): boolean {
    if (positions <= this.#capacity) return false;
    const { layers, kvHeads, headSize, contextLength } = this.#text;
    if (positions > contextLength)
      throw new RangeError(`${positions} positions are more than the context of ${contextLength}.`);
    const capacity = Math.min(contextLength, Math.ceil(positions / GROWTH) * GROWTH);
    this.#clear();
    using made = new DisposableStack();
    const buffer = (): Value => made.use(this.#allocate([this.slots, kvHeads, capacity, headSize]));
    this.#layers = Array.from({ length: layers }, () => ({ key: buffer(), value: buffer() }));
    this.#capacity = capacity;
    made.move();
    return true;
  }

  [Symbol.dispose](): void {
    this.#clear();
  }

  #clear(): void {
    for (const { key, value } of this.#layers) {
      key[Symbol.dispose]();
      value[Symbol.dispose]();
    }
    this.#layers = [];
    this.#capacity = 0;
  }
}
