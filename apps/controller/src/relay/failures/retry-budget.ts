/**
 * Limits how often requests are sent to a second worker because the first one refused, to a share of all requests: a fleet
 * that is unhealthy as a whole gets a little more work, not a multiple of it.
 */

/** Envoy's `retry_budget` lets retries be a fifth of the requests; Finagle's `RetryBudget` adds ten of them a second. */
const SHARE = 0.2;
const PER_SECOND = 10;
/** The number of retries that can be saved up while there are none. */
const MAX_SAVED = 100;

export interface RetryBudget {
  /** Call once for each request. */
  readonly earn: () => void;
  /** Whether one more retry is allowed; if so it is spent. */
  readonly spend: () => boolean;
}

/** @param now monotonic milliseconds */
export function createRetryBudget(now: () => number): RetryBudget {
  let saved = PER_SECOND;
  let filledMs = now();
  return {
    earn: () => {
      saved = Math.min(MAX_SAVED, saved + SHARE);
    },
    spend: () => {
      const refill = ((now() - filledMs) / 1000) * PER_SECOND;
      filledMs = now();
      // Time alone refills up to one second's worth; more comes only from requests.
      if (saved < PER_SECOND) saved = Math.min(PER_SECOND, saved + refill);
      if (saved < 1) return false;
      saved -= 1;
      return true;
    },
  };
}
