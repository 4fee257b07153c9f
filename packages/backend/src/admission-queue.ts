/** AdmissionQueue admits so many requests at a time and lets others wait, by priority, then by arrival. */
import { LlavaError } from "@llava/protocol";

export interface AdmissionLimits {
  /** Requests that are admitted at the same time (`--limit-model-concurrency`). */
  readonly concurrency: number;
  /** Requests that may wait behind them; the next one is refused with `overloaded`. */
  readonly maxWaiting: number;
  /** Longest time that a request waits before it is refused with `overloaded`; absent: no limit. */
  readonly maxWaitMs?: number;
}

/** The right of a request to be computed. Disposing it twice is harmless. */
export type Permit = Disposable;

/** The place of a request that waits. */
export interface QueuePlace {
  /** Rank among those that wait, from 1. */
  readonly position: number;
  /** Number of requests that wait. */
  readonly length: number;
}

/** The fields of a request that the queue reads; see GenerateRequest. */
export interface QueuedRequest {
  readonly priority?: number;
  readonly onQueued?: (place: () => QueuePlace | null) => void;
}

interface Waiter {
  readonly priority: number;
  admit(): void;
  refuse(error: LlavaError): void;
}

/** Taken for the mean time of a request until the first ones have ended. */
const FIRST_SERVICE_MS = 2_000;

/**
 * A semaphore with a bounded queue. `acquire` rejects with `overloaded` (the queue is full, or the request waited too long),
 * `shutting_down` (after `drain`) or `cancelled` (the signal); it never leaves a permit behind.
 */
export class AdmissionQueue {
  readonly limits: AdmissionLimits;
  #running = 0;
  #waiting: Waiter[] = [];
  #isDraining = false;
  #meanServiceMs = FIRST_SERVICE_MS;
  #whenIdle: (() => void)[] = [];

  constructor(limits: AdmissionLimits) {
    this.limits = limits;
  }

  /** Number of permits that are held. */
  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Resolves when the request is admitted. */
  async acquire(signal: AbortSignal, request: QueuedRequest = {}): Promise<Permit> {
    if (signal.aborted) throw cancelled();
    const permit = this.tryAcquire();
    if (permit !== null) return permit;
    await this.#wait(signal, request);
    return this.#permit();
  }

  /** A permit at once, or null where all are held. Throws `shutting_down` after `drain`. */
  tryAcquire(): Permit | null {
    if (this.#isDraining) throw shuttingDown();
    if (this.#running >= this.limits.concurrency) return null;
    this.#running += 1;
    return this.#permit();
  }

  /** Refuses everything new and everything that waits; what was admitted may finish. */
  drain(): void {
    this.#isDraining = true;
    for (const waiter of this.#waiting.splice(0)) waiter.refuse(shuttingDown());
  }

  /** Resolves when no permit is held. */
  async idle(): Promise<void> {
    if (this.#running === 0) return;
    await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  /** Whole seconds, 1 to 30, after which another try is likely to be admitted: the queue's length times the mean service time. */
  retryAfterS(): number {
    const turnsAhead = (this.#waiting.length + 1) / this.limits.concurrency;
    return Math.min(30, Math.max(1, Math.ceil((turnsAhead * this.#meanServiceMs) / 1000)));
  }

  async #wait(signal: AbortSignal, { priority = 0, onQueued }: QueuedRequest): Promise<void> {
    const { maxWaiting, maxWaitMs } = this.limits;
    if (this.#waiting.length >= maxWaiting) throw this.#overloaded("no place is free in its queue");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { priority, admit: resolve, refuse: reject };
    const leave = (error: LlavaError): void => {
      this.#waiting = this.#waiting.filter((other) => other !== waiter);
      reject(error);
    };
    const onAbort = (): void => leave(cancelled());
    const onTimeout = (ms: number): void =>
      leave(this.#overloaded(`a place was not free within ${ms / 1000} s`));
    const timer = maxWaitMs === undefined ? undefined : setTimeout(onTimeout, maxWaitMs, maxWaitMs);
    signal.addEventListener("abort", onAbort, { once: true });
    const behind = this.#waiting.findIndex((other) => other.priority > priority);
    this.#waiting.splice(behind < 0 ? this.#waiting.length : behind, 0, waiter);
    onQueued?.(() => this.#placeOf(waiter));
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  #placeOf(waiter: Waiter): QueuePlace | null {
    const index = this.#waiting.indexOf(waiter);
    return index < 0 ? null : { position: index + 1, length: this.#waiting.length };
  }

  #permit(): Permit {
    const startedMs = performance.now();
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#meanServiceMs += (performance.now() - startedMs - this.#meanServiceMs) / 8;
        this.#release();
      },
    };
  }

  /** The permit goes straight to the next request in line, so that `running` does not dip in between. */
  #release(): void {
    const next = this.#waiting.shift();
    if (next) return next.admit();
    this.#running -= 1;
    if (this.#running === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #overloaded(why: string): LlavaError {
    return new LlavaError(
      "overloaded",
      `The worker is busy: ${this.#running} requests run, ${this.#waiting.length} wait, and ${why}. ` +
        `Try again in ${this.retryAfterS()} s, or start another worker.`,
    );
  }
}

function shuttingDown(): LlavaError {
  return new LlavaError(
    "shutting_down",
    "The worker is stopping and takes no new requests. Try again in a moment.",
  );
}

function cancelled(): LlavaError {
  return new LlavaError("cancelled", "The client left before its request was started.");
}
