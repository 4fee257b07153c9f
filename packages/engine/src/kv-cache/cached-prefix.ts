/** Compares what a slot of the KV cache holds with what a sequence needs: an image is its key, text its token ids. */

/** An image among token ids: the positions that it fills, and the hash of its pixels. */
export interface ImageSpan {
  readonly key: string;
  readonly start: number;
  readonly tokens: number;
}

export interface CachedPrefix {
  /** One id for each position; any where an image stands. */
  readonly ids: readonly number[];
  readonly images: readonly ImageSpan[];
  /** The first this many positions are in the cache. */
  readonly length: number;
}

export const EMPTY_PREFIX: CachedPrefix = { ids: [], images: [], length: 0 };

/** Leading positions that are the same in both. */
export function commonPrefix(a: CachedPrefix, b: CachedPrefix): number {
  const end = Math.min(a.length, b.length);
  let same = 0;
  while (same < end && a.ids[same] === b.ids[same]) same += 1;
  // The ids at an image's positions are placeholders: they may be equal for different images.
  for (let i = 0; i < Math.max(a.images.length, b.images.length); i++) {
    const [one, other] = [a.images[i], b.images[i]];
    if (one && other && isSame(one, other)) continue;
    return Math.min(same, one?.start ?? Infinity, other?.start ?? Infinity);
  }
  return same;
}

function isSame(a: ImageSpan, b: ImageSpan): boolean {
  return a.key === b.key && a.start === b.start && a.tokens === b.tokens;
}
