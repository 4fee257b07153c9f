/**
 * Keeps the registry up to date: asks workers for their status and removes those that are dead or silent. Unlike the
 * registry, which changes in one tick, it waits for workers.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { admitWorker } from "@llava/server";
import {
  LlavaError,
  type ClusterEventBody,
  type DeregisterWorker,
  type HeartBeat,
  type RegisterWorker,
  type WorkerStatus,
} from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import type { ClusterHistory } from "../history/cluster-history.ts";
import type { RequestKeys } from "../registry/dispatch.ts";
import type { Lease, Registry, Worker } from "../registry/registry.ts";
import type { WorkerClient } from "./worker-client.ts";

type LossReason = Extract<ClusterEventBody, { kind: "lost" }>["reason"];

/** How long a dead worker may stay in the registry after its heartbeats have expired. */
const SWEEP_INTERVAL_MS = 1_000;
/** A sweep is late by more than this only when the whole controller stood still: stopped, or its machine asleep. */
const MAX_LATENESS_MS = 5_000;
const MAX_PROBES_AT_ONCE = 16;
/** How long a suspect worker gets to send its status. With it a dead worker is gone within 2 s of its failure. */
const SUSPECT_TIMEOUT_MS = 1_500;

export class Fleet {
  readonly #registry: Registry;
  readonly #client: WorkerClient;
  readonly #log: FastifyBaseLogger;
  readonly #token: string | null;
  readonly #checkAddress: (url: string) => void;
  readonly #history: ClusterHistory;
  #sweep: NodeJS.Timeout | null = null;
  #lastSweepMs = 0;
  #refresh: Promise<void> | null = null;

  /** @param checkAddress throws on addresses that must not be called */
  constructor(
    registry: Registry,
    client: WorkerClient,
    log: FastifyBaseLogger,
    history: ClusterHistory,
    token: string | null = null,
    checkAddress: (url: string) => void = () => undefined,
  ) {
    this.#registry = registry;
    this.#client = client;
    this.#log = log;
    this.#history = history;
    this.#token = token;
    this.#checkAddress = checkAddress;
  }

  start(): void {
    this.#lastSweepMs = this.#registry.nowMs;
    this.#sweep ??= setInterval(() => this.#dropSilent(), SWEEP_INTERVAL_MS).unref();
  }

  stop(): void {
    if (this.#sweep !== null) clearInterval(this.#sweep);
    this.#sweep = null;
  }

  /**
   * Adds a worker; one that does not bring its status is asked for it. Throws `invalid_request` when it does not answer,
   * `forbidden` when it cannot prove that it is of this cluster.
   */
  async register(body: RegisterWorker): Promise<void> {
    const address = body.worker_name;
    this.#checkAddress(address);
    await admitWorker(this.#token, { address, incarnation: body.worker_status?.incarnation ?? null });
    const status = body.worker_status ?? (await this.#statusOf(address));
    if (status === null) {
      const sentence = `The worker ${address} does not say how it is on POST /worker_get_status; it was not taken in.`;
      throw new LlavaError("invalid_request", sentence, { param: "worker_name" });
    }
    const known = this.#registry.get(address);
    const worker = this.#registry.register(address, body.check_heart_beat, status);
    this.#log.info({ worker: address, models: status.model_names }, "worker registered");
    // A process that registers again has not joined; another process at its address has.
    if (known === null || known.incarnation !== worker.incarnation)
      this.#history.note({ kind: "joined", worker: address, models: status.model_names });
  }

  /** @returns whether the worker is known; one that is not has to register */
  heartBeat(beat: HeartBeat): boolean {
    const before = this.#registry.get(beat.worker_name)?.state;
    const isKnown = this.#registry.heartBeat(beat);
    const state = this.#registry.get(beat.worker_name)?.state;
    if (isKnown && state !== undefined && state !== before) {
      this.#log.info({ worker: beat.worker_name }, `worker is ${state}`);
      this.#history.note({ kind: state, worker: beat.worker_name });
    }
    return isKnown;
  }

  /** @returns whether this process was known */
  deregister({ worker_name, incarnation }: DeregisterWorker): boolean {
    const wasKnown = this.#registry.deregister(worker_name, incarnation);
    if (!wasKnown) return false;
    this.#log.info({ worker: worker_name }, "worker deregistered");
    this.#history.note({ kind: "left", worker: worker_name });
    return true;
  }

  /** Asks every worker again; those that do not answer leave the registry, which is never empty meanwhile. */
  async refresh(): Promise<void> {
    this.#refresh ??= this.#askAll((worker, status) => {
      if (this.#registry.get(worker.address)?.registration !== worker.registration) return;
      this.#registry.register(worker.address, worker.checkHeartBeat, status);
    })
      .then(() => undefined)
      .finally(() => {
        this.#refresh = null;
      });
    await this.#refresh;
  }

  /** This controller as one worker of another controller: the models, speeds and queues of all its workers, asked now. */
  async status(): Promise<WorkerStatus> {
    const statuses = await this.#askAll(() => undefined);
    return {
      model_names: [...new Set(statuses.flatMap(({ model_names }) => model_names))],
      speed: statuses.reduce((sum, { speed }) => sum + speed, 0),
      queue_length: statuses.reduce((sum, { queue_length }) => sum + queue_length, 0),
    };
  }

  /** Whether the `keys` of `lease` are used; otherwise they need not be computed. */
  get usesKeys(): boolean {
    return this.#registry.dispatchMethod === "image_affinity";
  }

  lease(model: string, except?: ReadonlySet<number>, keys?: RequestKeys): Lease | null {
    return this.#registry.lease(model, except, keys);
  }

  get(address: string): Worker | null {
    return this.#registry.get(address);
  }

  get models(): readonly string[] {
    return this.#registry.models;
  }

  /**
   * Call when a connection to this worker failed. One with heartbeats leaves the registry at once. It comes back when it
   * sends its status and is still the same process, as after a short failure of the network, and otherwise with its next
   * heartbeat. One without heartbeats could never come back, so that it is asked first. Resolves with whether it is gone.
   */
  async suspect(worker: Worker): Promise<boolean> {
    const { address, incarnation } = worker;
    if (!worker.checkHeartBeat) await this.#ask(worker, SUSPECT_TIMEOUT_MS);
    else if (this.#drop(worker, "connection", "its connection failed")) {
      if (incarnation === null) return (await this.#statusOf(address, SUSPECT_TIMEOUT_MS)) === null;
      await this.#readmit(worker);
    }
    const present = this.#registry.get(address);
    return present === null || present.incarnation !== incarnation;
  }

  async #readmit({ address, incarnation, checkHeartBeat }: Worker): Promise<void> {
    try {
      const status = await this.#statusOf(address, SUSPECT_TIMEOUT_MS);
      if (status === null || status.incarnation !== incarnation) return;
      await admitWorker(this.#token, { address, incarnation });
      if (this.#registry.get(address) !== null) return;
      this.#registry.register(address, checkHeartBeat, status);
      this.#log.info({ worker: address }, "worker is still there");
      this.#history.note({ kind: "back", worker: address });
    } catch (err) {
      this.#log.warn({ worker: address, err }, "worker not taken in again");
    }
  }

  async #askAll(answered: (worker: Worker, status: WorkerStatus) => void): Promise<WorkerStatus[]> {
    const waiting = [...this.#registry.workers];
    const statuses: WorkerStatus[] = [];
    const askInTurn = async (): Promise<void> => {
      for (let worker = waiting.shift(); worker !== undefined; worker = waiting.shift()) {
        const status = await this.#ask(worker);
        if (status === null) continue;
        statuses.push(status);
        answered(worker, status);
      }
    };
    await Promise.all(Array.from({ length: MAX_PROBES_AT_ONCE }, askInTurn));
    return statuses;
  }

  async #ask(worker: Worker, timeoutMs?: number): Promise<WorkerStatus | null> {
    const status = await this.#statusOf(worker.address, timeoutMs);
    if (status === null) this.#drop(worker, "no_answer", "it did not say how it is");
    return status;
  }

  /** @param timeoutMs how long to wait, where it is less than the client's own timeout */
  async #statusOf(address: string, timeoutMs?: number): Promise<WorkerStatus | null> {
    const over = new AbortController();
    try {
      const status = this.#client.status(address);
      if (timeoutMs === undefined) return await status;
      const silence = sleep(timeoutMs, undefined, { signal: over.signal }).then(() => {
        throw new LlavaError("worker_lost", `The worker ${address} said nothing for ${timeoutMs} ms.`);
      });
      return await Promise.race([status, silence]);
    } catch (err) {
      this.#log.warn({ worker: address, err }, "worker does not answer");
      return null;
    } finally {
      over.abort();
    }
  }

  #drop(worker: Worker, kind: LossReason, reason: string): boolean {
    if (!this.#registry.remove(worker)) return false;
    this.#noteLoss(worker, kind, reason);
    return true;
  }

  #noteLoss({ address }: Worker, kind: LossReason, reason: string): void {
    this.#log.warn({ worker: address, reason }, "worker dropped");
    this.#history.note({ kind: "lost", worker: address, reason: kind });
  }

  /** Never throws: the timer would stop, and dead workers would stay for ever. */
  #dropSilent(): void {
    try {
      this.#extendDeadlinesAfterPause();
      for (const worker of this.#registry.expire()) this.#noteLoss(worker, "no_heartbeat", "no heartbeat");
    } catch (err) {
      this.#log.error({ err }, "could not look for silent workers");
    }
  }

  #extendDeadlinesAfterPause(): void {
    const now = this.#registry.nowMs;
    const lateMs = now - this.#lastSweepMs - SWEEP_INTERVAL_MS;
    this.#lastSweepMs = now;
    if (lateMs <= MAX_LATENESS_MS) return;
    this.#registry.extendDeadlines(lateMs);
    this.#log.warn(
      { lateMs: Math.round(lateMs) },
      "the controller stood still; its workers get the time back",
    );
  }
}
