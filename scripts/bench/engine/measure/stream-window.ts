/** How quickly several answers come at once, measured only while all of them do. */

/** Some tokens of one answer, and when they came, milliseconds. */
export interface Arrival {
  readonly at: number;
  readonly tokens: number;
}

export interface Rate {
  readonly from: number;
  readonly to: number;
  /** Tokens of all streams together. */
  readonly tokens: number;
  readonly ms: number;
}

/**
 * From when the last stream has begun until the first one ends: prompts of those that come later, and the time when only
 * some are left, say nothing about so many streams. Throws when the answers are too short to overlap.
 */
export function windowRate(streams: readonly (readonly Arrival[])[]): Rate {
  const from = Math.max(...streams.map((arrivals) => arrivals[0]?.at ?? Infinity));
  const to = Math.min(...streams.map((arrivals) => arrivals.at(-1)?.at ?? -Infinity));
  if (!(from < to))
    throw new Error(`${streams.length} answers were never under way together: ask for longer ones.`);
  const inside = streams.flat().filter(({ at }) => at > from && at <= to);
  return { from, to, tokens: inside.reduce((sum, { tokens }) => sum + tokens, 0), ms: to - from };
}
