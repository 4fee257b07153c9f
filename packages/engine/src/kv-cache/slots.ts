/** Who sits in which row of the KV cache, and what rows without anybody remember: bookkeeping, without any memory. */
import { commonPrefix, type CachedPrefix, EMPTY_PREFIX } from "./cached-prefix.ts";

/** A sequence, as far as its row matters. */
export interface SlotOwner {
  readonly prefix: CachedPrefix;
}

interface Row {
  /** Who is computed there; undefined when the row only remembers. */
  owner: SlotOwner | undefined;
  prefix: CachedPrefix;
  /** Rises with each use. */
  usedAt: number;
}

/** Where a new sequence goes, and what it finds there. */
export interface SlotAssignment {
  readonly row: number;
  /** The row whose first positions are to be copied there, when it is not `row` itself. */
  readonly source: number | undefined;
  /** Positions that are there then. */
  readonly cached: number;
}

/** Fewer common positions than this are computed rather than copied. */
const LEAST_COPY = 16;

export class CacheSlots {
  readonly #rows: Row[] = [];
  #clock = 0;

  get count(): number {
    return this.#rows.length;
  }

  /** Slots that somebody sits in. */
  get occupied(): number {
    return this.#rows.filter(({ owner }) => owner).length;
  }

  /** The first row that nobody sits in; −1 when there is none. */
  get firstFree(): number {
    return this.#rows.findIndex(({ owner }) => !owner);
  }

  /** Slots up to the last one that somebody sits in. */
  get taken(): number {
    return this.#rows.findLastIndex(({ owner }) => owner !== undefined) + 1;
  }

  /** New rows at the end, or fewer: those at the end go with what they remember. Nobody may sit there. */
  setCount(count: number): void {
    if (count < this.taken)
      throw new Error(`Row ${this.taken - 1} is in use; there cannot be ${count} rows.`);
    while (this.#rows.length > count) this.#rows.pop();
    while (this.#rows.length < count) this.#rows.push({ owner: undefined, prefix: EMPTY_PREFIX, usedAt: 0 });
  }

  /** All rows forget what they hold, and whoever sits in one loses it. */
  clear(): void {
    this.#rows.length = 0;
  }

  /** Most leading positions of `wanted` that any row holds. */
  longestMatch(wanted: CachedPrefix): number {
    return Math.max(0, ...this.#rows.map((row) => commonPrefix(prefixIn(row), wanted)));
  }

  /**
   * The best assignment for a sequence of which `wanted` is in the cache at last, or undefined when every row is in use. The
   * row that holds most of it is taken over when nobody sits there and little of it would be lost; else it is copied to
   * the row that is missed least.
   */
  findSlot(wanted: CachedPrefix): SlotAssignment | undefined {
    const free = this.#free();
    const spare = free[0];
    if (spare === undefined) return undefined;
    const matches = this.#rows.map((row) => commonPrefix(prefixIn(row), wanted));
    const cached = Math.max(...matches);
    const bests = matches.flatMap((match, row) => (match === cached ? [row] : []));
    const own = bests.find((row) => free.includes(row) && 2 * cached >= prefixIn(this.#at(row)).length);
    if (own !== undefined && cached > 0) return { row: own, source: undefined, cached };
    const source = bests[0];
    if (source === spare) return { row: spare, source: undefined, cached };
    if (cached < LEAST_COPY || source === undefined) return { row: spare, source: undefined, cached: 0 };
    return { row: spare, source, cached };
  }

  assign(row: number, owner: SlotOwner): void {
    const place = this.#at(row);
    if (place.owner) throw new Error(`Row ${row} is in use.`);
    place.owner = owner;
    place.prefix = EMPTY_PREFIX;
  }

  /** The row is free, and remembers what its owner had there, unless that cannot be trusted. */
  release(row: number, isTrusted: boolean): void {
    const place = this.#at(row);
    if (!place.owner) throw new Error(`Nobody sits in row ${row}.`);
    place.prefix = isTrusted ? snapshot(place.owner.prefix) : EMPTY_PREFIX;
    place.owner = undefined;
    place.usedAt = this.#clock += 1;
  }

  rowOf(owner: SlotOwner): number | undefined {
    const row = this.#rows.findIndex((place) => place.owner === owner);
    return row === -1 ? undefined : row;
  }

  /** Positions that the row holds, whoever's they are. */
  lengthOf(row: number): number {
    return prefixIn(this.#at(row)).length;
  }

  /**
   * The next move that brings the owners closer together, or undefined when they are neighbours already or what lies
   * between them is in use: the last one goes to the first gap. `keep`: where what the gap remembers is to be copied first.
   */
  compactionMove(
    owners: readonly SlotOwner[],
  ): { from: number; to: number; keep: number | undefined } | undefined {
    const rows = owners.map((owner) => this.rowOf(owner) ?? -1);
    const [first, last] = [Math.min(...rows), Math.max(...rows)];
    if (last - first + 1 === rows.length) return undefined;
    const to = this.#rows.findIndex(({ owner }, row) => row > first && row < last && !owner);
    if (to === -1) return undefined;
    const empty = this.#rows.findIndex(
      ({ owner, prefix }, row) => !owner && prefix.length === 0 && row !== to,
    );
    return { from: last, to, keep: this.lengthOf(to) > 0 && empty !== -1 ? empty : undefined };
  }

  /** `to` has been made a copy of `from`, whose owner moves there. */
  move(from: number, to: number): void {
    const [source, target] = [this.#at(from), this.#at(to)];
    if (target.owner) throw new Error(`Row ${to} is in use.`);
    Object.assign(target, source);
    Object.assign(source, { owner: undefined, prefix: EMPTY_PREFIX, usedAt: 0 });
  }

  /** Free rows, the one that is missed least first: an empty one, then the one that was used longest ago. */
  #free(): number[] {
    return this.#rows
      .map((place, row) => ({ place, row }))
      .filter(({ place }) => !place.owner)
      .sort((a, b) => rank(a.place) - rank(b.place) || a.row - b.row)
      .map(({ row }) => row);
  }

  #at(row: number): Row {
    const place = this.#rows[row];
    if (!place) throw new RangeError(`There is no row ${row}; there are ${this.#rows.length}.`);
    return place;
  }
}

function rank({ prefix, usedAt }: Row): number {
  return prefix.length === 0 ? -1 : usedAt;
}

function prefixIn({ owner, prefix }: Row): CachedPrefix {
  return owner ? owner.prefix : prefix;
}

/** Without what the sequence goes on to hold, its pixels for one. */
function snapshot({ ids, images, length }: CachedPrefix): CachedPrefix {
  return {
    ids: ids.slice(0, length),
    images: images
      .filter(({ start, tokens }) => start + tokens <= length)
      .map(({ key, start, tokens }) => ({ key, start, tokens })),
    length,
  };
}
