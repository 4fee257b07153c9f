/**
 * One request to one of the workers, and to another one when the first cannot answer or breaks off: apart because both
 * doors, LLaVA's and OpenAI's, pass through here and differ only in what they say when nobody is left.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { HOP_HEADER, HOP_VERSION, LlavaError, RESUME_FIELD, toLlavaError } from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import { errorIn, openAnswer, textOfFirst, type Answer } from "./relayed-answer.ts";
import { spliceField } from "../body/body-splice.ts";
import type { Breaker } from "../fleet/breaker.ts";
import type { Chronicle } from "../history/cluster-history.ts";
import type { Measured } from "../controller-metrics.ts";
import type { RequestKeys } from "../registry/dispatch.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { Framing } from "./frame-splitter.ts";
import { Losses } from "./failures/crash-attribution.ts";
import { noWorker, workersLost } from "./no-worker.ts";
import type { Progress } from "./stream-progress.ts";
import type { Lease, Worker } from "../registry/registry.ts";
import { createRetryBudget, type RetryBudget } from "./failures/retry-budget.ts";
import {
  isConnectionFailure,
  isSilence,
  isUnreached,
  SILENCE_TIMEOUT_MS,
  type WorkerClient,
} from "../fleet/worker-client.ts";
import { WorkerHealth } from "../fleet/worker-health.ts";

export interface RelayRequest {
  readonly model: string;
  /** The path on the worker. */
  readonly path: string;
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly framing: Framing;
  /** Whether a stream is asked for. */
  readonly isStream: boolean;
  readonly measured: Measured;
  /** By which a worker is chosen. */
  readonly keys: RequestKeys;
  /** Of the images that the body refers to, which a worker must have before it can answer. */
  readonly referredKeys: readonly string[];
}

/** Sends a worker those of these images that it has not got. `isAgain`: it has just said that it lacks one. */
export type EnsureBlobs = (
  worker: Worker,
  keys: readonly string[],
  signal: AbortSignal,
  isAgain: boolean,
) => Promise<void>;

export interface RelayLimits {
  /** Longest silence in a stream of a worker that says something at least every 10 s, as ours do. */
  readonly idleMs: number;
  /** Longest time of one answer, however much it says. */
  readonly totalMs: number;
  /** How long a client may read nothing of its answer. */
  readonly readerStallMs: number;
  /** Of all bodies together. */
  readonly bodiesBytes: number;
}

export const RELAY_LIMITS: RelayLimits = {
  idleMs: 30_000,
  // The longest answer of a 7B model on a small machine's CPU takes some eight minutes.
  totalMs: 900_000,
  readerStallMs: 60_000,
  // Sixteen of the largest, or some five hundred with one image of 1 MB each.
  bodiesBytes: 512 << 20,
};

/** As many as SGLang's model gateway tries. */
const MAX_WORKERS_ASKED = 5;
/** How long an answer that broke off waits for a place while all are full; its client hears of the end within 3 s. */
const PLACE_PATIENCE_MS = 2_000;
const PLACE_INTERVAL_MS = 250;
const BUSY_STATUSES: ReadonlySet<number> = new Set([429, 503]);
/** Failures that say that the worker is ill, not that it is full or leaves. */
const ILL_CODES: ReadonlySet<string> = new Set([
  "worker_lost",
  "timeout",
  "runtime_failure",
  "out_of_memory",
]);

export class Relay {
  readonly #fleet: Fleet;
  readonly #client: WorkerClient;
  readonly #ensureBlobs: EnsureBlobs;
  readonly #limits: RelayLimits;
  readonly #now: () => number;
  readonly #health: WorkerHealth;
  readonly #budget: RetryBudget;
  /** Workers that are being asked whether they live; one of them may be the only one that could go on. */
  readonly #suspicions = new Set<Promise<boolean>>();
  readonly #losses: Losses;

  /** @param now monotonic milliseconds */
  constructor(
    fleet: Fleet,
    client: WorkerClient,
    ensureBlobs: EnsureBlobs,
    chronicle: Chronicle,
    limits: RelayLimits = RELAY_LIMITS,
    now: () => number = performance.now.bind(performance),
  ) {
    this.#fleet = fleet;
    this.#client = client;
    this.#ensureBlobs = ensureBlobs;
    this.#limits = limits;
    this.#now = now;
    this.#health = new WorkerHealth(now, ({ address }, state) =>
      chronicle.note({ kind: "breaker", worker: address, state }),
    );
    this.#budget = createRetryBudget(now);
    this.#losses = new Losses(fleet, now);
  }

  /** Of the worker's circuit breaker. */
  breakerOf(worker: Worker): Breaker["state"] {
    return this.#health.stateOf(worker);
  }

  /** Whether a request could go to it now, as far as its circuit breaker goes. */
  wouldAsk(worker: Worker): boolean {
    return this.#health.wouldAdmit(worker);
  }

  /** Whether requests must bring their keys, which cost a pass over their images. */
  get usesKeys(): boolean {
    return this.#fleet.usesKeys;
  }

  /**
   * Chooses workers until one answers. When all that could be asked refuse, the last refusal is the answer; `no_worker` when
   * none has the model, `worker_lost` when all that have it failed, `timeout` when one said nothing for too long,
   * `quarantined` when the request ends workers, the signal's reason when it aborts.
   */
  async open(request: RelayRequest, signal: AbortSignal, log: FastifyBaseLogger): Promise<Answer> {
    this.#budget.earn();
    const tried = new Set<number>();
    let refusal: Answer | null = null;
    while (tried.size < MAX_WORKERS_ASKED) {
      await this.#losses.check(request.body);
      // Only refusals are counted: a worker that cannot be reached has no work from this, and leaves the table.
      if (refusal !== null && !this.#budget.spend()) break;
      const lease = this.#pick(request, tried, false, tried.size === 0);
      if (lease === null) break;
      tried.add(lease.worker.registration);
      const answer = await this.#ask(lease, request, [request.body], signal, log);
      if (answer !== null && !isRefusal(answer)) return answer;
      answer?.close();
      refusal = answer ?? refusal;
    }
    if (refusal !== null) return refusal;
    throw tried.size === 0
      ? noWorker(request.model, this.#fleet.models)
      : workersLost(request.model, tried.size);
  }

  /**
   * Another worker's answer from where the client has it, after `lost` broke off; null when nobody can take it. The new
   * answer is asked for from its beginning when the client has nothing of it yet.
   */
  async reopen(
    request: RelayRequest,
    progress: Progress,
    lost: Worker,
    signal: AbortSignal,
    log: FastifyBaseLogger,
  ): Promise<Answer | null> {
    const resume = progress.isUntouched ? null : progress.resume;
    if (resume === null && !progress.isUntouched) return null;
    const body = resume === null ? [request.body] : spliceField(request.body, RESUME_FIELD, resume);
    const untilMs = this.#now() + PLACE_PATIENCE_MS;
    const failed = new Set([lost.registration]);
    while (true) {
      await this.#losses.check(request.body);
      const full = new Set(failed);
      for (let numAsked = 0; numAsked < MAX_WORKERS_ASKED; numAsked += 1) {
        const isFirst = full.size === 1;
        const lease = this.#pick(request, full, resume !== null, isFirst);
        if (lease === null) break;
        const { registration } = lease.worker;
        const answer = await this.#ask(lease, request, body, signal, log);
        if (answer !== null && answer.status === 200 && answer.isFramed) return answer;
        answer?.close();
        if (answer === null || !BUSY_STATUSES.has(answer.status)) failed.add(registration);
        full.add(registration);
      }
      if (this.#now() > untilMs) return null;
      if (full.size > failed.size)
        await sleep(PLACE_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
      else if (this.#suspicions.size > 0) await Promise.race(this.#suspicions);
      else return null;
      signal.throwIfAborted();
    }
  }

  /** The request was answered whole. */
  async served(request: RelayRequest): Promise<void> {
    await this.#losses.served(request.body);
  }

  /**
   * What broke an answer off, as an error of the table; the worker is held responsible where it is.
   * @param hasSpoken whether the worker had sent words
   */
  fault(
    thrown: unknown,
    worker: Worker,
    request: RelayRequest,
    signal: AbortSignal,
    hasSpoken: boolean,
  ): LlavaError {
    const error = this.#failure(thrown, worker, request, signal, hasSpoken);
    if (!signal.aborted && ILL_CODES.has(error.code)) this.#health.failed(worker);
    return error;
  }

  /**
   * A worker for the request that is neither in `except` nor left alone because it keeps failing. `orIll`: one of those when
   * there is no other; a request that fails is no worse than one that is refused.
   */
  #pick(
    request: RelayRequest,
    except: ReadonlySet<number>,
    isContinuation: boolean,
    orIll: boolean,
  ): Lease | null {
    const isFit = (worker: Worker): boolean => !isContinuation || canResume(worker);
    const lease = this.#lease(request, except, (worker) => isFit(worker) && this.#health.admit(worker));
    return lease ?? (orIll ? this.#lease(request, except, isFit) : null);
  }

  /** The first that is fit, of the workers in the order of the dispatch method. */
  #lease(
    request: RelayRequest,
    except: ReadonlySet<number>,
    isFit: (worker: Worker) => boolean,
  ): Lease | null {
    const passedOver = new Set(except);
    while (true) {
      const lease = this.#fleet.lease(request.model, passedOver, request.keys);
      if (lease === null || isFit(lease.worker)) return lease;
      lease.cancel();
      passedOver.add(lease.worker.registration);
    }
  }

  /** Null when the worker could not be reached or was lost before its first frame; throws what ends the request. */
  async #ask(
    lease: Lease,
    request: RelayRequest,
    body: readonly Uint8Array[],
    signal: AbortSignal,
    log: FastifyBaseLogger,
  ): Promise<Answer | null> {
    const { worker } = lease;
    request.measured.asked(worker);
    try {
      const answer = await this.#post(worker, request, body, signal);
      if (BUSY_STATUSES.has(answer.status)) this.#health.saidNothing(worker);
      else if (answer.status >= 500) this.#health.failed(worker);
      else this.#health.succeeded(worker);
      const close = (): void => {
        answer.close();
        lease.release();
      };
      return { ...answer, close };
    } catch (thrown) {
      lease.release();
      const error = this.#failure(thrown, worker, request, signal, false);
      if (!signal.aborted && ILL_CODES.has(error.code)) this.#health.failed(worker);
      else this.#health.saidNothing(worker);
      if (signal.aborted || error.code !== "worker_lost") throw error;
      log.warn({ worker: worker.address, err: thrown }, "worker lost before its first byte");
      return null;
    }
  }

  async #post(
    worker: Worker,
    request: RelayRequest,
    body: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<Answer> {
    const { path, framing, isStream, referredKeys } = request;
    const silenceMs = isTalkative(request, worker) ? this.#limits.idleMs : SILENCE_TIMEOUT_MS;
    const headers = isStream ? { ...request.headers, [HOP_HEADER]: HOP_VERSION } : request.headers;
    const post = async (isAgain: boolean): Promise<Answer> => {
      if (referredKeys.length > 0) await this.#ensureBlobs(worker, referredKeys, signal, isAgain);
      const response = await this.#client.post(worker.address, path, body, headers, {
        signal,
        silenceMs,
      });
      return openAnswer(worker, response, framing);
    };
    const answer = await post(false);
    if (referredKeys.length === 0 || !lacksBlob(answer)) return answer;
    answer.close();
    return post(true);
  }

  /** What went wrong, as an error of the table; a worker that cannot be reached, or says nothing, becomes suspect. */
  #failure(
    thrown: unknown,
    worker: Worker,
    request: RelayRequest,
    signal: AbortSignal,
    hasSpoken: boolean,
  ): LlavaError {
    if (signal.aborted) return toLlavaError(signal.reason);
    if (thrown instanceof LlavaError) return thrown;
    const isSilent = isSilence(thrown);
    if (!isSilent && !isConnectionFailure(thrown)) return toLlavaError(thrown);
    // One that says nothing of itself while it works may be working.
    const code = isSilent && !isTalkative(request, worker) ? "timeout" : "worker_lost";
    if (code === "worker_lost") {
      this.#losses.count(worker);
      const isGone = this.#suspect(worker);
      if (!isSilent && !isUnreached(thrown)) this.#losses.note(worker, request.body, hasSpoken, isGone);
    }
    const sentence = isSilent
      ? "The worker said nothing for too long; ask again."
      : "The worker that wrote this answer was lost; ask again.";
    return new LlavaError(code, sentence, { cause: thrown });
  }

  /** Resolves with whether its process is gone. */
  #suspect(worker: Worker): Promise<boolean> {
    const suspicion = this.#fleet.suspect(worker).finally(() => this.#suspicions.delete(suspicion));
    this.#suspicions.add(suspicion);
    return suspicion;
  }
}

/** Says of each worker of ours, and of no other, that it can go on with an answer that another one began. */
function canResume(worker: Worker): boolean {
  return worker.capabilities?.["resume"] === true;
}

/** Whether the worker says something at least every 10 s while it answers this. */
function isTalkative({ isStream }: RelayRequest, worker: Worker): boolean {
  return isStream && canResume(worker);
}

/** Whether the worker has forgotten an image that it was sent. */
function lacksBlob(answer: Answer): boolean {
  return answer.status === 404 && errorIn(textOfFirst(answer))?.code === "blob_missing";
}

/** Whether another worker may have a better answer than this one. */
function isRefusal({ status, headers }: Answer): boolean {
  return BUSY_STATUSES.has(status) || (status >= 500 && headers["x-should-retry"] !== "false");
}
