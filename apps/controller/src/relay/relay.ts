/**
 * Relays one request to one of the workers, and to another one when the first cannot answer or breaks off. The endpoints of
 * LLaVA and of OpenAI share it and differ only in the errors that they send.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { RESUME_FIELD } from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import { spliceField } from "../body/body-splice.ts";
import type { Breaker } from "../fleet/breaker.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { WorkerClient } from "../fleet/worker-client.ts";
import { WorkerHealth } from "../fleet/worker-health.ts";
import type { ClusterHistory } from "../history/cluster-history.ts";
import type { Lease, Worker } from "../registry/registry.ts";
import { CrashAttribution } from "./failures/crash-attribution.ts";
import { createRetryBudget, type RetryBudget } from "./failures/retry-budget.ts";
import { noWorker, workersLost } from "./no-worker.ts";
import { BUSY_STATUSES, canResume, RelayAttempts, type EnsureBlobs } from "./relay-attempt.ts";
import { RELAY_LIMITS, type RelayLimits, type RelayRequest } from "./relay-request.ts";
import type { RelayedAnswer } from "./relayed-answer.ts";
import type { StreamProgress } from "./stream-progress.ts";

/** The workers that are asked for one request, as many as SGLang's model gateway tries. */
const MAX_WORKERS_ASKED = 5;
/** How long an answer that broke off waits while all workers are full; its client gets the error within 3 s. */
const CAPACITY_TIMEOUT_MS = 2_000;
const CAPACITY_INTERVAL_MS = 250;

export class Relay {
  readonly #fleet: Fleet;
  readonly #now: () => number;
  readonly #health: WorkerHealth;
  readonly #budget: RetryBudget;
  readonly #crashes: CrashAttribution;
  readonly attempts: RelayAttempts;

  /** @param now monotonic milliseconds */
  constructor(
    fleet: Fleet,
    client: WorkerClient,
    ensureBlobs: EnsureBlobs,
    history: ClusterHistory,
    limits: RelayLimits = RELAY_LIMITS,
    now: () => number = performance.now.bind(performance),
  ) {
    this.#fleet = fleet;
    this.#now = now;
    this.#health = new WorkerHealth(now, ({ address }, state) =>
      history.note({ kind: "breaker", worker: address, state }),
    );
    this.#budget = createRetryBudget(now);
    this.#crashes = new CrashAttribution(fleet, now);
    this.attempts = new RelayAttempts({
      fleet,
      client,
      ensureBlobs,
      idleMs: limits.idleMs,
      health: this.#health,
      crashes: this.#crashes,
    });
  }

  /** The state of the worker's circuit breaker. */
  breakerOf(worker: Worker): Breaker["state"] {
    return this.#health.stateOf(worker);
  }

  /** Whether the worker's circuit breaker would let a request through now. */
  wouldAsk(worker: Worker): boolean {
    return this.#health.wouldAdmit(worker);
  }

  /** Whether requests must bring their keys, which cost a pass over their images. */
  get usesKeys(): boolean {
    return this.#fleet.usesKeys;
  }

  /**
   * Chooses workers until one answers. When all that could be asked refuse, the last refusal is the answer. Throws
   * `no_worker` when none has the model, `worker_lost` when all that have it failed, `timeout` when one was silent for too
   * long, `quarantined` when the request has crashed workers, and the signal's reason when it aborts.
   */
  async open(request: RelayRequest, signal: AbortSignal, log: FastifyBaseLogger): Promise<RelayedAnswer> {
    this.#budget.earn();
    const tried = new Set<number>();
    let refusal: RelayedAnswer | null = null;
    while (tried.size < MAX_WORKERS_ASKED) {
      await this.#crashes.check(request.body);
      // Only refusals are counted: a worker that cannot be reached has no work from this, and leaves the registry.
      if (refusal !== null && !this.#budget.spend()) break;
      const lease = this.#pick(request, tried, false, tried.size === 0);
      if (lease === null) break;
      tried.add(lease.worker.registration);
      const answer = await this.attempts.ask(lease, request, [request.body], signal, log);
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
   * Another worker's answer from where the client has it, after `lost` broke off; null when no worker can take it. The new
   * answer is asked for from its beginning when the client has nothing of it yet.
   */
  async reopen(
    request: RelayRequest,
    progress: StreamProgress,
    lost: Worker,
    signal: AbortSignal,
    log: FastifyBaseLogger,
  ): Promise<RelayedAnswer | null> {
    const resume = progress.isUntouched ? null : progress.resume;
    if (resume === null && !progress.isUntouched) return null;
    const body = resume === null ? [request.body] : spliceField(request.body, RESUME_FIELD, resume);
    const untilMs = this.#now() + CAPACITY_TIMEOUT_MS;
    const failed = new Set([lost.registration]);
    while (true) {
      await this.#crashes.check(request.body);
      const full = new Set(failed);
      for (let numAsked = 0; numAsked < MAX_WORKERS_ASKED; numAsked += 1) {
        const lease = this.#pick(request, full, resume !== null, full.size === 1);
        if (lease === null) break;
        const { registration } = lease.worker;
        const answer = await this.attempts.ask(lease, request, body, signal, log);
        if (answer !== null && answer.status === 200 && answer.isFramed) return answer;
        answer?.close();
        if (answer === null || !BUSY_STATUSES.has(answer.status)) failed.add(registration);
        full.add(registration);
      }
      if (this.#now() > untilMs) return null;
      if (full.size > failed.size)
        await sleep(CAPACITY_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
      else if (this.attempts.suspicions.size > 0) await Promise.race(this.attempts.suspicions);
      else return null;
      signal.throwIfAborted();
    }
  }

  /** Call when the request was answered whole. */
  async served(request: RelayRequest): Promise<void> {
    await this.#crashes.served(request.body);
  }

  /**
   * A lease of a worker that is not in `except` and whose circuit breaker lets a request through. With `allowOpenBreaker`
   * one whose breaker does not when there is no other: a request that fails is no worse than one that is refused.
   */
  #pick(
    request: RelayRequest,
    except: ReadonlySet<number>,
    isContinuation: boolean,
    allowOpenBreaker: boolean,
  ): Lease | null {
    const isFit = (worker: Worker): boolean => !isContinuation || canResume(worker);
    const lease = this.#lease(request, except, (worker) => isFit(worker) && this.#health.admit(worker));
    return lease ?? (allowOpenBreaker ? this.#lease(request, except, isFit) : null);
  }

  /** A lease of the first worker that is fit, in the order of the dispatch method. */
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
}

/** Whether another worker may have a better answer than this one. */
function isRefusal({ status, headers }: RelayedAnswer): boolean {
  return BUSY_STATUSES.has(status) || (status >= 500 && headers["x-should-retry"] !== "false");
}
