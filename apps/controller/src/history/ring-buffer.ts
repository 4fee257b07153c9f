/** Keeps the figures of the last steps of time, as many as its length; its owner decides when a step ends. */
import type { ClusterSeries } from "@llava/protocol";

/** The figures that are summed up during a step. */
export interface Step {
  tokens: number;
  requests: number;
  errors: number;
  /** For each answer that began, the seconds from its request to its first text. */
  readonly firstWords: number[];
}

/** The requests in the cluster at a step's end. */
export interface Queue {
  readonly running: number;
  readonly waiting: number;
}

/** The times to the first text that one step keeps; with more of them their 95th percentile hardly changes. */
const MAX_FIRST_WORDS = 1_000;

export class RingBuffer {
  readonly stepS: number;
  readonly #length: number;
  readonly #steps: (Step & Queue)[] = [];
  #current = emptyStep();

  constructor(stepS: number, length: number) {
    this.stepS = stepS;
    this.#length = length;
  }

  add(tokens: number, requests: number, errors: number): void {
    this.#current.tokens += tokens;
    this.#current.requests += requests;
    this.#current.errors += errors;
  }

  firstWord(seconds: number): void {
    if (this.#current.firstWords.length < MAX_FIRST_WORDS) this.#current.firstWords.push(seconds);
  }

  /** Ends this many steps; all but the first had no events. */
  end(numSteps: number, queue: Queue): void {
    for (let left = Math.min(numSteps, this.#length); left > 0; left--) {
      this.#steps.push({ ...this.#current, ...queue });
      this.#current = emptyStep();
    }
    this.#steps.splice(0, this.#steps.length - this.#length);
  }

  /** The newest of its steps, at most `count`. */
  last(count: number): readonly (Step & Queue)[] {
    return this.#steps.slice(-count);
  }

  series(endMs: number): ClusterSeries {
    const each = <T>(read: (step: Step & Queue) => T): readonly T[] => this.#steps.map(read);
    return {
      step_s: this.stepS,
      end_ms: endMs,
      tokens_per_s: each(({ tokens }) => rounded(tokens / this.stepS)),
      running: each(({ running }) => running),
      waiting: each(({ waiting }) => waiting),
      first_word_p95_s: each(({ firstWords }) => percentile(firstWords, 0.95)),
      requests: each(({ requests }) => requests),
      errors: each(({ errors }) => errors),
    };
  }
}

function emptyStep(): Step {
  return { tokens: 0, requests: 0, errors: 0, firstWords: [] };
}

/** The value that this share of the values does not exceed; null when there are none. */
export function percentile(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  return value === undefined ? null : rounded(value);
}

/** The value with three digits behind the point, which is more than a chart shows. */
function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
