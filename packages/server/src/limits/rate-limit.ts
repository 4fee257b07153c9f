/** Limits the requests of each client: a token bucket for the rate and a count of those under way, in a table of bounded size. */
import { LlavaError } from "@llava/protocol";

export interface ClientLimits {
  readonly requestsPerMinute: number;
  /** Requests at once before the rate counts. */
  readonly burst: number;
  /** Requests under way at the same time. */
  readonly concurrent: number;
}

export const CLIENT_LIMITS: ClientLimits = { requestsPerMinute: 60, burst: 10, concurrent: 4 };

/** State of a client's limit after one of its requests was counted. */
export interface RateLimitState {
  /** Requests that the client can make at once. */
  readonly numLeft: number;
  /** Milliseconds until the bucket is full again without further requests. */
  readonly fullInMs: number;
}

/** A refusal, with the time after which another request can succeed. */
export interface Refusal {
  readonly error: LlavaError;
  readonly retryAfterMs: number;
}

interface Admission {
  readonly release: () => void;
}

export interface ClientTable {
  /** Counts one request as under way; its `release` ends that, once. */
  admit(client: string): RateLimitState & (Admission | Refusal);
  readonly size: number;
}

interface Bucket {
  tokens: number;
  filledMs: number;
  running: number;
}

const MAX_CLIENTS = 4096;
/** Clients, least recently seen first, that are examined for one that can be removed. */
const MAX_LOOKED_AT = 16;
/** A running answer takes seconds, so that an earlier retry would be refused again. */
const RETRY_RUNNING_MS = 2_000;

/** `now` is monotonic milliseconds. */
export function createClientTable(
  limits: ClientLimits,
  now: () => number = performance.now.bind(performance),
): ClientTable {
  /** Buckets by client, least recently seen first. */
  const buckets = new Map<string, Bucket>();
  return {
    get size() {
      return buckets.size;
    },
    admit(client) {
      const bucket = buckets.get(client) ?? (makeRoom(buckets, limits, now()) ? fresh(limits, now()) : null);
      if (bucket === null) return { ...tooManyClients(), numLeft: 0, fullInMs: RETRY_RUNNING_MS };
      buckets.delete(client);
      buckets.set(client, bucket);
      refill(bucket, limits, now());
      const outcome = take(bucket, limits);
      return { ...outcome, ...stateOf(bucket, limits) };
    },
  };
}

function take(bucket: Bucket, limits: ClientLimits): Admission | Refusal {
  if (bucket.running >= limits.concurrent) return tooManyRunning(limits);
  if (bucket.tokens < 1) return tooFast(limits, Math.ceil((1 - bucket.tokens) / perMs(limits)));
  bucket.tokens -= 1;
  bucket.running += 1;
  return { release: once(() => (bucket.running -= 1)) };
}

function stateOf({ tokens }: Bucket, limits: ClientLimits): RateLimitState {
  return {
    numLeft: Math.floor(tokens),
    fullInMs: Math.ceil((limits.burst - tokens) / perMs(limits)),
  };
}

function perMs({ requestsPerMinute }: ClientLimits): number {
  return requestsPerMinute / 60_000;
}

function fresh(limits: ClientLimits, nowMs: number): Bucket {
  return { tokens: limits.burst, filledMs: nowMs, running: 0 };
}

function refill(bucket: Bucket, limits: ClientLimits, nowMs: number): void {
  const gained = (nowMs - bucket.filledMs) * perMs(limits);
  bucket.tokens = Math.min(limits.burst, bucket.tokens + gained);
  bucket.filledMs = nowMs;
}

/** Removes a client whose bucket is full again, for which that changes nothing. Returns false when there is none. */
function makeRoom(buckets: Map<string, Bucket>, limits: ClientLimits, nowMs: number): boolean {
  if (buckets.size < MAX_CLIENTS) return true;
  let numLookedAt = 0;
  for (const [client, bucket] of buckets) {
    if (++numLookedAt > MAX_LOOKED_AT) return false;
    refill(bucket, limits, nowMs);
    if (bucket.running === 0 && bucket.tokens >= limits.burst) return buckets.delete(client);
  }
  return false;
}

function tooFast(limits: ClientLimits, retryAfterMs: number): Refusal {
  const sentence = `More than ${limits.requestsPerMinute} requests a minute are not taken from one client. Wait ${Math.ceil(retryAfterMs / 1000)} s.`;
  return { error: new LlavaError("rate_limited", sentence), retryAfterMs };
}

function tooManyRunning({ concurrent }: ClientLimits): Refusal {
  const sentence = `${concurrent} requests of this client run already, which is the limit. Wait until one has ended.`;
  return { error: new LlavaError("rate_limited", sentence), retryAfterMs: RETRY_RUNNING_MS };
}

function tooManyClients(): Refusal {
  const sentence = "The server has too many clients just now. Ask again in a moment.";
  return { error: new LlavaError("rate_limited", sentence), retryAfterMs: RETRY_RUNNING_MS };
}

function once(act: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    act();
  };
}
