/** What a row of the KV cache holds, compared with what a sequence needs: a picture is its key, text its token ids. */

/** A picture among token ids: where it stands and what it shows. */
export interface PictureSpan {
  readonly key: string;
  readonly start: number;
  readonly tokens: number;
}

export interface Held {
  /** One id for each position; any where a picture stands. */
  readonly ids: readonly number[];
  readonly pictures: readonly PictureSpan[];
  /** The first this many positions are in the cache. */
  readonly length: number;
}

export const NOTHING: Held = { ids: [], pictures: [], length: 0 };

/** Leading positions that are the same in both. */
export function commonPrefix(a: Held, b: Held): number {
  const end = Math.min(a.length, b.length);
  let same = 0;
  while (same < end && a.ids[same] === b.ids[same]) same += 1;
  // What the ids are where a picture stands says nothing.
  for (let i = 0; i < Math.max(a.pictures.length, b.pictures.length); i++) {
    const [one, other] = [a.pictures[i], b.pictures[i]];
    if (one && other && isSame(one, other)) continue;
    return Math.min(same, one?.start ?? Infinity, other?.start ?? Infinity);
  }
  return same;
}

function isSame(a: PictureSpan, b: PictureSpan): boolean {
  return a.key === b.key && a.start === b.start && a.tokens === b.tokens;
}
