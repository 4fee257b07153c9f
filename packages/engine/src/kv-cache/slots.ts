/** Who sits in which row of the KV cache, and what rows without anybody remember: bookkeeping, without any memory. */
import { commonPrefix, type Held, NOTHING } from "./cached-prefix.ts";

/** A sequence, as far as its row matters. */
export interface Sitter {
  readonly held: Held;
}

interface Row {
  /** Who is computed there; undefined when the row only remembers. */
  sitter: Sitter | undefined;
  held: Held;
  /** Rises with each use. */
  usedAt: number;
}

/** Where a new sequence goes, and what it finds there. */
export interface Seat {
  readonly row: number;
  /** The row whose first positions are to be copied there, when it is not `row` itself. */
  readonly source: number | undefined;
  /** Positions that are there then. */
  readonly cached: number;
}

/** Fewer common positions than this are computed rather than copied. */
const LEAST_COPY = 16;

export class Rows {
  readonly #rows: Row[] = [];
  #clock = 0;

  get count(): number {
    return this.#rows.length;
  }

  /** Rows that somebody sits in. */
  get sitting(): number {
    return this.#rows.filter(({ sitter }) => sitter).length;
  }

  /** The first row that nobody sits in; −1 when there is none. */
  get firstFree(): number {
    return this.#rows.findIndex(({ sitter }) => !sitter);
  }

  /** Rows up to the last one that somebody sits in. */
  get taken(): number {
    return this.#rows.findLastIndex(({ sitter }) => sitter !== undefined) + 1;
  }

  /** New rows at the end, or fewer: those at the end go with what they remember. Nobody may sit there. */
  setCount(count: number): void {
    if (count < this.taken)
      throw new Error(`Row ${this.taken - 1} is in use; there cannot be ${count} rows.`);
    while (this.#rows.length > count) this.#rows.pop();
    while (this.#rows.length < count) this.#rows.push({ sitter: undefined, held: NOTHING, usedAt: 0 });
  }

  /** All rows forget what they hold, and whoever sits in one loses it. */
  clear(): void {
    this.#rows.length = 0;
  }

  /** Most leading positions of `wanted` that any row holds. */
  longestMatch(wanted: Held): number {
    return Math.max(0, ...this.#rows.map((row) => commonPrefix(heldIn(row), wanted)));
  }

  /**
   * The best seat for a sequence of which `wanted` is in the cache at last, or undefined when every row is in use. The
   * row that holds most of it is taken over when nobody sits there and little of it would be lost; else it is copied to
   * the row that is missed least.
   */
  findSeat(wanted: Held): Seat | undefined {
    const free = this.#free();
    const spare = free[0];
    if (spare === undefined) return undefined;
    const matches = this.#rows.map((row) => commonPrefix(heldIn(row), wanted));
    const cached = Math.max(...matches);
    const bests = matches.flatMap((match, row) => (match === cached ? [row] : []));
    const own = bests.find((row) => free.includes(row) && 2 * cached >= heldIn(this.#at(row)).length);
    if (own !== undefined && cached > 0) return { row: own, source: undefined, cached };
    const source = bests[0];
    if (source === spare) return { row: spare, source: undefined, cached };
    if (cached < LEAST_COPY || source === undefined) return { row: spare, source: undefined, cached: 0 };
    return { row: spare, source, cached };
  }

  sit(row: number, sitter: Sitter): void {
    const place = this.#at(row);
    if (place.sitter) throw new Error(`Row ${row} is in use.`);
    place.sitter = sitter;
    place.held = NOTHING;
  }

  /** The row is free, and remembers what its sitter had there, unless that cannot be trusted. */
  leave(row: number, isTrusted: boolean): void {
    const place = this.#at(row);
    if (!place.sitter) throw new Error(`Nobody sits in row ${row}.`);
    place.held = isTrusted ? snapshot(place.sitter.held) : NOTHING;
    place.sitter = undefined;
    place.usedAt = this.#clock += 1;
  }

  rowOf(sitter: Sitter): number | undefined {
    const row = this.#rows.findIndex((place) => place.sitter === sitter);
    return row === -1 ? undefined : row;
  }

  /** Positions that the row holds, whoever's they are. */
  lengthOf(row: number): number {
    return heldIn(this.#at(row)).length;
  }

  /**
   * The next move that brings the sitters closer together, or undefined when they are neighbours already or what lies
   * between them is in use: the last one goes to the first gap. `keep`: where what the gap remembers is to be copied first.
   */
  gapMove(sitters: readonly Sitter[]): { from: number; to: number; keep: number | undefined } | undefined {
    const rows = sitters.map((sitter) => this.rowOf(sitter) ?? -1);
    const [first, last] = [Math.min(...rows), Math.max(...rows)];
    if (last - first + 1 === rows.length) return undefined;
    const to = this.#rows.findIndex(({ sitter }, row) => row > first && row < last && !sitter);
    if (to === -1) return undefined;
    const empty = this.#rows.findIndex(({ sitter, held }, row) => !sitter && held.length === 0 && row !== to);
    return { from: last, to, keep: this.lengthOf(to) > 0 && empty !== -1 ? empty : undefined };
  }

  /** `to` has been made a copy of `from`, whose sitter moves there. */
  move(from: number, to: number): void {
    const [source, target] = [this.#at(from), this.#at(to)];
    if (target.sitter) throw new Error(`Row ${to} is in use.`);
    Object.assign(target, source);
    Object.assign(source, { sitter: undefined, held: NOTHING, usedAt: 0 });
  }

  /** Free rows, the one that is missed least first: an empty one, then the one that was used longest ago. */
  #free(): number[] {
    return this.#rows
      .map((place, row) => ({ place, row }))
      .filter(({ place }) => !place.sitter)
      .sort((a, b) => rank(a.place) - rank(b.place) || a.row - b.row)
      .map(({ row }) => row);
  }

  #at(row: number): Row {
    const place = this.#rows[row];
    if (!place) throw new RangeError(`There is no row ${row}; there are ${this.#rows.length}.`);
    return place;
  }
}

function rank({ held, usedAt }: Row): number {
  return held.length === 0 ? -1 : usedAt;
}

function heldIn({ sitter, held }: Row): Held {
  return sitter ? sitter.held : held;
}

/** Without what the sequence goes on to hold, its pixels for one. */
function snapshot({ ids, images, length }: Held): Held {
  return {
    ids: ids.slice(0, length),
    images: images
      .filter(({ start, tokens }) => start + tokens <= length)
      .map(({ key, start, tokens }) => ({ key, start, tokens })),
    length,
  };
}
