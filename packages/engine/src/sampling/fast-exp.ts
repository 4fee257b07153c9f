/**
 * Computes e^x for x up to 0 with a relative error of 2e-12, several times as fast as Math.exp: a softmax over 32,000 tokens
 * is nearly all that sampling costs.
 */

/** Steps from one power of two to the next. */
const STEPS = 64;
const STEPS_PER_UNIT = STEPS / Math.LN2;
const UNITS_PER_STEP = Math.LN2 / STEPS;
/** Below 2^-1074 there is only 0. */
const MOST = 1074 * STEPS;
/** 2^(-i / STEPS) */
const FRACTIONS = Float64Array.from({ length: STEPS }, (_, i) => 2 ** (-i / STEPS));
/** 2^-i */
const POWERS = Float64Array.from({ length: 1075 }, (_, i) => 2 ** -i);

export function exponential(x: number): number {
  const down = x * -STEPS_PER_UNIT;
  if (!(down < MOST)) return Number.isNaN(x) ? x : 0;
  const steps = Math.trunc(down);
  // 0 to 0.011, where four terms of the series are exact to 1e-12.
  const rest = (down - steps) * UNITS_PER_STEP;
  const series = 1 - rest * (1 - rest * (1 / 2 - rest * (1 / 6 - rest / 24)));
  return (FRACTIONS[steps & (STEPS - 1)] ?? 0) * (POWERS[steps >> 6] ?? 0) * series;
}
