/**
 * Decides when a worker that keeps failing gets no requests: a circuit breaker as a pure state machine. The numbers are those
 * of SGLang's model gateway: 5 failures within 60 s open it for 30 s, then one request at a time tries the worker, and 2
 * successes close it.
 */

export interface BreakerRules {
  readonly maxFailures: number;
  readonly windowMs: number;
  readonly openMs: number;
  readonly successesToClose: number;
}

export const BREAKER_RULES: BreakerRules = {
  maxFailures: 5,
  windowMs: 60_000,
  openMs: 30_000,
  successesToClose: 2,
};

/** Times are milliseconds of one monotonic clock. */
export type Breaker =
  | {
      readonly state: "closed";
      /** The times of the failures in the last `windowMs`, the oldest first. */
      readonly failuresMs: readonly number[];
    }
  | { readonly state: "open"; readonly untilMs: number }
  | { readonly state: "half-open"; readonly numSuccesses: number; readonly isTrying: boolean };

export const CLOSED: Breaker = { state: "closed", failuresMs: [] };

/** The state after a request was let through, or null when none may be. One of the three functions below takes its outcome. */
export function admit(breaker: Breaker, nowMs: number): Breaker | null {
  if (breaker.state === "closed") return breaker;
  if (breaker.state === "open")
    return nowMs < breaker.untilMs ? null : { state: "half-open", numSuccesses: 0, isTrying: true };
  return breaker.isTrying ? null : { ...breaker, isTrying: true };
}

export function afterSuccess(breaker: Breaker, rules: BreakerRules): Breaker {
  // A request that began before the breaker opened does not show how the worker is now.
  if (breaker.state !== "half-open") return breaker;
  const numSuccesses = breaker.numSuccesses + 1;
  return numSuccesses >= rules.successesToClose
    ? CLOSED
    : { state: "half-open", numSuccesses, isTrying: false };
}

export function afterFailure(breaker: Breaker, nowMs: number, rules: BreakerRules): Breaker {
  if (breaker.state === "open") return breaker;
  const failuresMs =
    breaker.state === "closed"
      ? [...breaker.failuresMs.filter((ms) => ms > nowMs - rules.windowMs), nowMs]
      : [];
  const isOpening = breaker.state === "half-open" || failuresMs.length >= rules.maxFailures;
  return isOpening ? { state: "open", untilMs: nowMs + rules.openMs } : { state: "closed", failuresMs };
}

/** The state after a request that does not show how the worker is: its client left, or the worker was full. */
export function afterUndecided(breaker: Breaker): Breaker {
  return breaker.state === "half-open" ? { ...breaker, isTrying: false } : breaker;
}
