/** Who may start now: apart from HTTP and the engine, so that the limits can be tested as plain values. */
import { LlavaError } from "@llava/protocol";

export interface AdmissionLimits {
  /** Requests handed to the engine at the same time (`--limit-model-concurrency`). */
  readonly concurrency: number;
  /** Requests that may wait behind them; the next one is told `overloaded`. */
  readonly maxWaiting: number;
  /** How long one request may wait before it is told `overloaded`. */
  readonly maxWaitMs: number;
}

/** Leave to use the engine. Disposing it twice is harmless. */
export type Permit = Disposable;

/** Of somebody who waits. */
export interface Place {
  /** From 1. */
  readonly position: number;
  /** Of the queue. */
  readonly length: number;
}

interface Waiter {
  readonly priority: number;
  admit(): void;
  refuse(error: LlavaError): void;
}

const FIRST_GUESS_MS = 2_000;

/**
 * A counted door with a bounded queue, first come first served. `acquire` rejects with `overloaded` (queue full or
 * waited too long), `shutting_down` (after `drain`) or `cancelled` (the signal); it never leaves a permit behind.
 */
export class Admission {
  readonly limits: AdmissionLimits;
  #running = 0;
  #waiting: Waiter[] = [];
  #draining = false;
  #meanServiceMs = FIRST_GUESS_MS;
  #whenIdle: (() => void)[] = [];

  constructor(limits: AdmissionLimits) {
    this.limits = limits;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** LLaVA's `queue_length`: running + waiting. */
  get queueLength(): number {
    return this.#running + this.#waiting.length;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /**
   * Of those that wait, the ones with the smallest `priority` go first, and among them the one that came first. Who has to
   * wait is given what tells its place from then on: null when it waits no more.
   */
  async acquire(
    signal: AbortSignal,
    priority = 0,
    onWait: (place: () => Place | null) => void = () => undefined,
  ): Promise<Permit> {
    if (this.#draining) throw shuttingDown();
    if (signal.aborted) throw cancelled();
    if (this.#running >= this.limits.concurrency) await this.#wait(signal, priority, onWait);
    else this.#running += 1;
    return this.#permit();
  }

  /** Refuse everything new and everything that still waits; what runs may finish. */
  drain(): void {
    this.#draining = true;
    for (const waiter of this.#waiting.splice(0)) waiter.refuse(shuttingDown());
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    if (this.#running === 0) return;
    await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  /** Whole seconds, 1 to 30, after which trying again is likely to find room: the queue's length times the mean service time. */
  retryAfterS(): number {
    const turnsAhead = (this.#waiting.length + 1) / this.limits.concurrency;
    return Math.min(30, Math.max(1, Math.ceil((turnsAhead * this.#meanServiceMs) / 1000)));
  }

  async #wait(
    signal: AbortSignal,
    priority: number,
    onWait: (place: () => Place | null) => void,
  ): Promise<void> {
    if (this.#waiting.length >= this.limits.maxWaiting)
      throw this.#overloaded("no place is free in its queue");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { priority, admit: resolve, refuse: reject };
    const leave = (error: LlavaError): void => {
      this.#waiting = this.#waiting.filter((other) => other !== waiter);
      reject(error);
    };
    const onAbort = (): void => leave(cancelled());
    const timer = setTimeout(
      () => leave(this.#overloaded(`a place was not free within ${this.limits.maxWaitMs / 1000} s`)),
      this.limits.maxWaitMs,
    );
    signal.addEventListener("abort", onAbort, { once: true });
    const behind = this.#waiting.findIndex((other) => other.priority > priority);
    this.#waiting.splice(behind < 0 ? this.#waiting.length : behind, 0, waiter);
    onWait(() => this.#placeOf(waiter));
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  #placeOf(waiter: Waiter): Place | null {
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

  /** The place goes straight to the next in line, so `running` does not dip in between. */
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
