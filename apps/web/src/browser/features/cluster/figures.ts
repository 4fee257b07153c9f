/** Formats figures as short as they can be read at a glance; null is an unknown value. */
const UNKNOWN = "–";

export function figure(value: number | null): string {
  if (value === null) return UNKNOWN;
  if (value === 0 || Math.abs(value) >= 100) return String(Math.round(value));
  return value < 10 && !Number.isInteger(value)
    ? value.toFixed(value < 1 ? 2 : 1)
    : String(Math.round(value));
}

/** The duration in its largest unit: `45 s`, `12 min`, `3 h`, `2 d`. */
export function duration(seconds: number | null): string {
  if (seconds === null) return UNKNOWN;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  return seconds < 48 * 3_600 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`;
}

/**
 * Means over groups of `perRow` values, grouped from the newest, which is last; null for a group without known
 * values.
 */
export function means(values: readonly (number | null)[], perRow: number): readonly (number | null)[] {
  const rows: (number | null)[] = [];
  for (let end = values.length; end > 0; end -= perRow) {
    const known = values.slice(Math.max(0, end - perRow), end).filter((value) => value !== null);
    rows.push(known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length);
  }
  return rows.toReversed();
}
