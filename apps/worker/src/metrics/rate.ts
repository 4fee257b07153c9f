/** Measures a rate over the last ten seconds, for readers without Prometheus, which computes rates from the counters. */

const WINDOW_S = 10;

export interface Rate {
  readonly add: (number: number) => void;
  /** Mean of the last ten seconds. */
  readonly perSecond: () => number;
}

/** @param now monotonic milliseconds */
export function createRate(now: () => number): Rate {
  /** Sums of one second each, the newest of which grows; the index of second s is s modulo their number. */
  const sums = new Float64Array(WINDOW_S + 1);
  let newest = Math.floor(now() / 1000);
  const advance = (): void => {
    const second = Math.floor(now() / 1000);
    const first = Math.max(newest + 1, second - WINDOW_S);
    for (let passed = first; passed <= second; passed += 1) sums[passed % sums.length] = 0;
    newest = Math.max(newest, second);
  };
  return {
    add: (number) => {
      advance();
      const place = newest % sums.length;
      sums[place] = (sums[place] ?? 0) + number;
    },
    perSecond: () => {
      advance();
      return sums.reduce((sum, value) => sum + value, 0) / WINDOW_S;
    },
  };
}
