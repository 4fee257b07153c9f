/** CacheSlots keeps the books of the KV cache, without its memory: which sequence owns which slot, and what free slots hold. */
import { commonPrefix, type CachedPrefix, EMPTY_PREFIX } from "./cached-prefix.ts";

/** A sequence, as far as its slot matters. */
export interface SlotOwner {
  readonly prefix: CachedPrefix;
}

interface Slot {
  /** The sequence that is computed there; undefined when the slot only keeps a prefix. */
  owner: SlotOwner | undefined;
  prefix: CachedPrefix;
  /** Time of the last use, in uses of any slot. */
  usedAt: number;
}

/** The slot for a new sequence, and what the sequence finds there. */
export interface SlotAssignment {
  readonly slot: number;
  /** The slot whose first positions are to be copied there, when it is not `slot` itself. */
  readonly source: number | undefined;
  /** Positions that are in the slot after the copy. */
  readonly cached: number;
}

/** A change of place of one owner. */
export interface CompactionMove {
  readonly from: number;
  readonly to: number;
  /** The slot to which what `to` keeps is copied first; undefined when it keeps nothing or no slot is empty. */
  readonly keep: number | undefined;
}

/** Fewer common positions than this are computed rather than copied. */
const LEAST_COPY = 16;

export class CacheSlots {
  readonly #slots: Slot[] = [];
  #clock = 0;

  get count(): number {
    return this.#slots.length;
  }

  /** Slots that have an owner. */
  get occupied(): number {
    return this.#slots.filter(({ owner }) => owner).length;
  }

  /** The first slot without an owner; −1 when there is none. */
  get firstFree(): number {
    return this.#slots.findIndex(({ owner }) => !owner);
  }

  /** Slots up to the last one that has an owner. */
  get taken(): number {
    return this.#slots.findLastIndex(({ owner }) => owner !== undefined) + 1;
  }

  /** More slots at the end, or fewer: those at the end go with the prefixes they keep. None of them may have an owner. */
  setCount(count: number): void {
    if (count < this.taken)
      throw new Error(`Slot ${this.taken - 1} is in use; there cannot be ${count} slots.`);
    while (this.#slots.length > count) this.#slots.pop();
    while (this.#slots.length < count)
      this.#slots.push({ owner: undefined, prefix: EMPTY_PREFIX, usedAt: 0 });
  }

  /** Removes all slots; their owners lose them. */
  clear(): void {
    this.#slots.length = 0;
  }

  /** Most leading positions of `wanted` that any slot holds. */
  longestMatch(wanted: CachedPrefix): number {
    return Math.max(0, ...this.#slots.map((slot) => commonPrefix(prefixIn(slot), wanted)));
  }

  /**
   * The best assignment for a sequence that begins with `wanted`, or undefined when every slot is in use. The slot that
   * holds most of it is taken over when it is free and little of what it holds would be lost; else that part is copied
   * to the slot that is missed least.
   */
  findSlot(wanted: CachedPrefix): SlotAssignment | undefined {
    const free = this.#free();
    const spare = free[0];
    if (spare === undefined) return undefined;
    const matches = this.#slots.map((slot) => commonPrefix(prefixIn(slot), wanted));
    const cached = Math.max(...matches);
    const bests = matches.flatMap((match, slot) => (match === cached ? [slot] : []));
    const own = bests.find((slot) => free.includes(slot) && 2 * cached >= prefixIn(this.#at(slot)).length);
    if (own !== undefined && cached > 0) return { slot: own, source: undefined, cached };
    const source = bests[0];
    if (source === spare) return { slot: spare, source: undefined, cached };
    if (cached < LEAST_COPY || source === undefined) return { slot: spare, source: undefined, cached: 0 };
    return { slot: spare, source, cached };
  }

  assign(slot: number, owner: SlotOwner): void {
    const place = this.#at(slot);
    if (place.owner) throw new Error(`Slot ${slot} is in use.`);
    place.owner = owner;
    place.prefix = EMPTY_PREFIX;
  }

  /** Frees the slot; it keeps what its owner had there, unless that cannot be trusted. */
  release(slot: number, isTrusted: boolean): void {
    const place = this.#at(slot);
    if (!place.owner) throw new Error(`Slot ${slot} has no owner.`);
    place.prefix = isTrusted ? snapshot(place.owner.prefix) : EMPTY_PREFIX;
    place.owner = undefined;
    place.usedAt = this.#clock += 1;
  }

  slotOf(owner: SlotOwner): number | undefined {
    const slot = this.#slots.findIndex((place) => place.owner === owner);
    return slot === -1 ? undefined : slot;
  }

  /** Positions that the slot holds, of its owner or of a prefix that it keeps. */
  lengthOf(slot: number): number {
    return prefixIn(this.#at(slot)).length;
  }

  /**
   * The next move that brings the owners closer together: the last one goes to the first free slot between them. Undefined
   * when they are neighbours already or all slots between them are in use.
   */
  compactionMove(owners: readonly SlotOwner[]): CompactionMove | undefined {
    const slots = owners.map((owner) => this.slotOf(owner) ?? -1);
    const [first, last] = [Math.min(...slots), Math.max(...slots)];
    if (last - first + 1 === slots.length) return undefined;
    const to = this.#slots.findIndex(({ owner }, slot) => slot > first && slot < last && !owner);
    if (to === -1) return undefined;
    const empty = this.#slots.findIndex(
      ({ owner, prefix }, slot) => !owner && prefix.length === 0 && slot !== to,
    );
    return { from: last, to, keep: this.lengthOf(to) > 0 && empty !== -1 ? empty : undefined };
  }

  /** Records that `to` has been made a copy of `from`: the owner of `from`, or its prefix, is in `to` now. */
  move(from: number, to: number): void {
    const [source, target] = [this.#at(from), this.#at(to)];
    if (target.owner) throw new Error(`Slot ${to} is in use.`);
    Object.assign(target, source);
    Object.assign(source, { owner: undefined, prefix: EMPTY_PREFIX, usedAt: 0 });
  }

  /** Free slots, the one that is missed least first: an empty one, then the one that was used longest ago. */
  #free(): number[] {
    return this.#slots
      .map((place, slot) => ({ place, slot }))
      .filter(({ place }) => !place.owner)
      .sort((a, b) => rank(a.place) - rank(b.place) || a.slot - b.slot)
      .map(({ slot }) => slot);
  }

  #at(slot: number): Slot {
    const place = this.#slots[slot];
    if (!place) throw new RangeError(`There is no slot ${slot}; there are ${this.#slots.length}.`);
    return place;
  }
}

function rank({ prefix, usedAt }: Slot): number {
  return prefix.length === 0 ? -1 : usedAt;
}

function prefixIn({ owner, prefix }: Slot): CachedPrefix {
  return owner ? owner.prefix : prefix;
}

/** A copy without what else the sequence holds, the pixels of its images for one. */
function snapshot({ ids, images, length }: CachedPrefix): CachedPrefix {
  return {
    ids: ids.slice(0, length),
    images: images
      .filter(({ start, tokens }) => start + tokens <= length)
      .map(({ key, start, tokens }) => ({ key, start, tokens })),
    length,
  };
}
