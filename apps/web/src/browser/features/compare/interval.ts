/** Computes the confidence interval of a counted share. */

/** The 97.5 % quantile of the normal distribution, for an interval of 95 %. */
const Z = 1.96;

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * Wilson's score interval (1927) of a share at 95 %. Unlike the normal approximation it stays within 0 and 1 and
 * holds for small counts.
 * @param wins 0 to `total`; a tie counts one half
 */
export function wilson(wins: number, total: number): Interval {
  if (total === 0) return { low: 0, high: 1 };
  const share = wins / total;
  const spread = Z * Math.sqrt((share * (1 - share)) / total + Z ** 2 / (4 * total ** 2));
  const scale = 1 + Z ** 2 / total;
  const middle = share + Z ** 2 / (2 * total);
  return { low: Math.max(0, (middle - spread) / scale), high: Math.min(1, (middle + spread) / scale) };
}
