/**
 * Remembers what has happened in the cluster lately, for `GET /cluster`: figures in ring buffers of seconds, tens of seconds
 * and minutes, and the last events. Unlike the metrics, whose history the scraper keeps, it is kept here and bounded.
 */
import type {
  ClusterEvent,
  ClusterEventBody,
  ClusterSeries,
  ClusterTotals,
  SeriesName,
} from "@llava/protocol";
import { percentile, RingBuffer, type Queue } from "./ring-buffer.ts";
import { PendingRequests } from "./pending-requests.ts";

const TICK_MS = 1_000;
const MAX_EVENTS = 200;
/** The steps of a second over which the present speed is the mean. */
const SPEED_STEPS = 5;
const RECENT_STEPS = 300;

export interface ClusterHistoryOptions {
  /** The requests of the whole cluster now. */
  readonly queue: () => Queue;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  /** The wall clock in Unix milliseconds. */
  readonly wallClock: () => number;
}

export class ClusterHistory {
  readonly pending = new PendingRequests();
  readonly #options: ClusterHistoryOptions;
  readonly #rings: Readonly<Record<SeriesName, RingBuffer>> = {
    "5m": new RingBuffer(1, RECENT_STEPS),
    "1h": new RingBuffer(10, 360),
    "24h": new RingBuffer(60, 1_440),
  };
  /** The last events, the oldest first. */
  readonly #events: ClusterEvent[] = [];
  readonly #startedMs: number;
  /** When the history began, in milliseconds of the wall clock as it is now. */
  #epochMs: number;
  #numEvents = 0;
  /** The number of whole seconds that have ended. */
  #numTicks = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: ClusterHistoryOptions) {
    this.#options = options;
    this.#startedMs = options.now();
    this.#epochMs = this.#beginning();
  }

  start(): void {
    this.#timer ??= setInterval(() => this.tick(), TICK_MS).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  note(event: ClusterEventBody): void {
    this.#numEvents += 1;
    this.#events.push({ ...event, id: this.#numEvents, time_ms: this.#options.wallClock() });
    if (this.#events.length > MAX_EVENTS) this.#events.shift();
  }

  /** Call when tokens of an answer have gone out to a client. */
  tokens(count: number): void {
    for (const ring of this.#all) ring.add(count, 0, 0);
  }

  /** Call when the first text of an answer goes out, with the seconds since its request came. */
  firstWord(seconds: number): void {
    for (const ring of this.#all) ring.firstWord(seconds);
  }

  /** Call when a request has ended. */
  ended(isError: boolean): void {
    for (const ring of this.#all) ring.add(0, 1, isError ? 1 : 0);
  }

  /** Ends the steps whose time is over, which are several after this process stood still. */
  tick(): void {
    const numTicks = Math.floor((this.#options.now() - this.#startedMs) / TICK_MS);
    const queue = this.#options.queue();
    for (const ring of this.#all) {
      const numSteps = Math.floor(numTicks / ring.stepS) - Math.floor(this.#numTicks / ring.stepS);
      if (numSteps > 0) ring.end(numSteps, queue);
    }
    this.#numTicks = numTicks;
    // The clock was set, or the machine slept.
    if (Math.abs(this.#beginning() - this.#epochMs) > TICK_MS) this.#epochMs = this.#beginning();
  }

  #beginning(): number {
    const { now, wallClock } = this.#options;
    return Math.round(wallClock() - (now() - this.#startedMs));
  }

  get events(): readonly ClusterEvent[] {
    return this.#events.toReversed();
  }

  get totals(): ClusterTotals {
    const ring = this.#rings["5m"];
    const recent = ring.last(RECENT_STEPS);
    const speeds = ring.last(SPEED_STEPS);
    const sum = (read: (step: (typeof recent)[number]) => number, steps = recent): number =>
      steps.reduce((all, step) => all + read(step), 0);
    const firstWords = recent.flatMap((step) => step.firstWords);
    return {
      ...this.#options.queue(),
      tokens_per_s: Math.round((10 * sum(({ tokens }) => tokens, speeds)) / SPEED_STEPS) / 10,
      requests: sum(({ requests }) => requests),
      errors: sum(({ errors }) => errors),
      first_word_p50_s: percentile(firstWords, 0.5),
      first_word_p95_s: percentile(firstWords, 0.95),
    };
  }

  get series(): Readonly<Record<SeriesName, ClusterSeries>> {
    const seriesOf = (name: SeriesName): ClusterSeries => {
      const ring = this.#rings[name];
      const endS = Math.floor(this.#numTicks / ring.stepS) * ring.stepS;
      return ring.series(this.#epochMs + endS * 1_000);
    };
    return { "5m": seriesOf("5m"), "1h": seriesOf("1h"), "24h": seriesOf("24h") };
  }

  get #all(): readonly RingBuffer[] {
    return Object.values(this.#rings);
  }
}
