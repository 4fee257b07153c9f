/**
 * Asks one worker with a request, and judges what went wrong when it fails: which error the client gets, and what the
 * failure means for the worker.
 */
import { LlavaError, RESUME_HEADER, RESUME_VERSION, toLlavaError } from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import type { Fleet } from "../fleet/fleet.ts";
import {
  isConnectionFailure,
  isSilence,
  isUnreached,
  SILENCE_TIMEOUT_MS,
  type WorkerClient,
} from "../fleet/worker-client.ts";
import type { WorkerHealth } from "../fleet/worker-health.ts";
import type { Lease, Worker } from "../registry/registry.ts";
import type { CrashAttribution } from "./failures/crash-attribution.ts";
import type { RelayRequest } from "./relay-request.ts";
import { errorIn, openAnswer, textOfFirst, type RelayedAnswer } from "./relayed-answer.ts";

/** Sends a worker those of these images that it lacks. `isAgain` means that it has just answered that it lacks one. */
export type EnsureBlobs = (
  worker: Worker,
  keys: readonly string[],
  signal: AbortSignal,
  isAgain: boolean,
) => Promise<void>;

/** The statuses of a worker that is full or stops, which another one may not be. */
export const BUSY_STATUSES: ReadonlySet<number> = new Set([429, 503]);
/** The errors of an unhealthy worker, not of one that is full or leaves. */
const UNHEALTHY_CODES: ReadonlySet<string> = new Set([
  "worker_lost",
  "timeout",
  "runtime_failure",
  "out_of_memory",
]);

export class RelayAttempts {
  readonly #fleet: Fleet;
  readonly #client: WorkerClient;
  readonly #ensureBlobs: EnsureBlobs;
  readonly #idleMs: number;
  readonly #health: WorkerHealth;
  readonly #crashes: CrashAttribution;
  readonly #suspicions = new Set<Promise<boolean>>();

  /** @param idleMs the longest pause in a stream of a worker that sends keepalives */
  constructor(parts: {
    readonly fleet: Fleet;
    readonly client: WorkerClient;
    readonly ensureBlobs: EnsureBlobs;
    readonly idleMs: number;
    readonly health: WorkerHealth;
    readonly crashes: CrashAttribution;
  }) {
    this.#fleet = parts.fleet;
    this.#client = parts.client;
    this.#ensureBlobs = parts.ensureBlobs;
    this.#idleMs = parts.idleMs;
    this.#health = parts.health;
    this.#crashes = parts.crashes;
  }

  /** The checks that run now of whether lost workers are gone; one of them may be the only worker that could go on. */
  get suspicions(): ReadonlySet<Promise<boolean>> {
    return this.#suspicions;
  }

  /**
   * The leased worker's answer, whose `close` also ends the lease. Null when the worker could not be reached or was lost
   * before its first frame; throws what ends the request.
   */
  async ask(
    lease: Lease,
    request: RelayRequest,
    body: readonly Uint8Array[],
    signal: AbortSignal,
    log: FastifyBaseLogger,
  ): Promise<RelayedAnswer | null> {
    const { worker } = lease;
    request.measured.asked(worker);
    try {
      const answer = await this.#post(worker, request, body, signal);
      if (BUSY_STATUSES.has(answer.status)) this.#health.undecided(worker);
      else if (answer.status >= 500) this.#health.failed(worker);
      else this.#health.succeeded(worker);
      const close = (): void => {
        answer.close();
        lease.release();
      };
      return { ...answer, close };
    } catch (thrown) {
      lease.release();
      const error = this.#errorOf(thrown, worker, request, signal, false);
      if (!signal.aborted && UNHEALTHY_CODES.has(error.code)) this.#health.failed(worker);
      else this.#health.undecided(worker);
      if (signal.aborted || error.code !== "worker_lost") throw error;
      log.warn({ worker: worker.address, err: thrown }, "worker lost before its first byte");
      return null;
    }
  }

  /**
   * What broke off an answer that had begun, as an error of the table; counted as a failure of the worker where it is one.
   * @param hasStreamed whether the worker had sent text
   */
  fault(
    thrown: unknown,
    worker: Worker,
    request: RelayRequest,
    signal: AbortSignal,
    hasStreamed: boolean,
  ): LlavaError {
    const error = this.#errorOf(thrown, worker, request, signal, hasStreamed);
    if (!signal.aborted && UNHEALTHY_CODES.has(error.code)) this.#health.failed(worker);
    return error;
  }

  async #post(
    worker: Worker,
    request: RelayRequest,
    body: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<RelayedAnswer> {
    const { path, framing, isStream, referredKeys } = request;
    const silenceMs = sendsKeepalives(request, worker) ? this.#idleMs : SILENCE_TIMEOUT_MS;
    const headers = isStream ? { ...request.headers, [RESUME_HEADER]: RESUME_VERSION } : request.headers;
    const post = async (isAgain: boolean): Promise<RelayedAnswer> => {
      if (referredKeys.length > 0) await this.#ensureBlobs(worker, referredKeys, signal, isAgain);
      const timing = { signal, silenceMs };
      const response = await this.#client.post(worker.address, path, body, headers, timing);
      return openAnswer(worker, response, framing);
    };
    const answer = await post(false);
    if (referredKeys.length === 0 || !lacksBlob(answer)) return answer;
    answer.close();
    return post(true);
  }

  /** What went wrong, as an error of the table; a worker that cannot be reached, or is silent, becomes suspect. */
  #errorOf(
    thrown: unknown,
    worker: Worker,
    request: RelayRequest,
    signal: AbortSignal,
    hasStreamed: boolean,
  ): LlavaError {
    if (signal.aborted) return toLlavaError(signal.reason);
    if (thrown instanceof LlavaError) return thrown;
    const isSilent = isSilence(thrown);
    if (!isSilent && !isConnectionFailure(thrown)) return toLlavaError(thrown);
    // A worker without keepalives may still be working.
    const code = isSilent && !sendsKeepalives(request, worker) ? "timeout" : "worker_lost";
    if (code === "worker_lost") {
      this.#crashes.countRequests(worker);
      const isGone = this.#suspect(worker);
      if (!isSilent && !isUnreached(thrown))
        this.#crashes.attribute(worker, request.body, hasStreamed, isGone);
    }
    const sentence = isSilent
      ? "The worker said nothing for too long; ask again."
      : "The worker that wrote this answer was lost; ask again.";
    return new LlavaError(code, sentence, { cause: thrown });
  }

  /** Resolves with whether the worker's process is gone. */
  #suspect(worker: Worker): Promise<boolean> {
    const suspicion = this.#fleet.suspect(worker).finally(() => this.#suspicions.delete(suspicion));
    this.#suspicions.add(suspicion);
    return suspicion;
  }
}

/** Whether a worker can go on with an answer that another one began: each of ours can, and no other. */
export function canResume(worker: Worker): boolean {
  return worker.capabilities?.["resume"] === true;
}

/** Whether the worker sends something at least every 10 s while it answers this request. */
function sendsKeepalives({ isStream }: RelayRequest, worker: Worker): boolean {
  return isStream && canResume(worker);
}

/** Whether the worker no longer has an image that it was sent. */
function lacksBlob(answer: RelayedAnswer): boolean {
  return answer.status === 404 && errorIn(textOfFirst(answer))?.code === "blob_missing";
}
