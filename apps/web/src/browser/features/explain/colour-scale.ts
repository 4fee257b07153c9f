/**
 * Maps shares to colours of evenly rising lightness, so that no colour looks like a border; the stops are
 * Matplotlib's "inferno", CC0.
 */
const STOPS = [
  [0, 0, 4],
  [40, 11, 84],
  [101, 21, 110],
  [159, 42, 99],
  [212, 72, 66],
  [245, 125, 21],
  [250, 193, 39],
  [252, 255, 164],
] as const;

/** @param share from 0 to 1; returns red, green and blue from 0 to 255 */
export function colourOf(share: number): readonly [number, number, number] {
  const place = Math.max(0, Math.min(1, share)) * (STOPS.length - 1);
  const index = Math.min(STOPS.length - 2, Math.floor(place));
  const part = place - index;
  const [low, high] = [STOPS[index] ?? STOPS[0], STOPS[index + 1] ?? STOPS[0]];
  const mix = (a: number, b: number): number => Math.round(a + (b - a) * part);
  return [mix(low[0], high[0]), mix(low[1], high[1]), mix(low[2], high[2])];
}

/** Each cell's share of the greatest value; negative and missing values count as 0. */
export function sharesOf(values: readonly (readonly (number | null)[])[]): readonly (readonly number[])[] {
  const most = Math.max(0, ...values.flat().map((value) => value ?? 0));
  return values.map((row) => row.map((value) => (most === 0 ? 0 : Math.max(0, value ?? 0) / most)));
}
