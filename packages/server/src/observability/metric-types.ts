/** Describes how metrics are made and what they take, without the library behind them. */

type Labels = Readonly<Record<string, string>>;

interface Count {
  readonly add: (number: number, labels?: Labels) => void;
}

interface Timing {
  readonly observe: (value: number, labels?: Labels) => void;
}

/** One value of a metric that is read at each scrape. */
export interface Sample {
  readonly value: number;
  readonly labels?: Labels;
}

export type ReadMetric = (
  name: string,
  help: string,
  read: () => number | readonly Sample[],
  labelNames?: readonly string[],
) => void;

export type MakeCounter = (name: string, help: string, labelNames?: readonly string[]) => Count;

export type MakeHistogram = (
  name: string,
  help: string,
  buckets: readonly number[],
  labelNames?: readonly string[],
) => Timing;
