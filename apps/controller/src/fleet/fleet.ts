/** Keeps the registry true: asks workers, drops the dead, forgets the silent. Apart from the registry because all of this waits. */
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
import type { Chronicle } from "../history/cluster-history.ts";
import type { RequestKeys } from "../registry/dispatch.ts";
import type { Lease, Registry, Worker } from "../registry/registry.ts";
import type { WorkerClient } from "./worker-client.ts";

type LossReason = Extract<ClusterEventBody, { kind: "lost" }>["reason"];

/** A dead worker is gone at most this long after its heartbeats have expired. */
const SWEEP_INTERVAL_MS = 1_000;
/** Nobody is late by more unless the whole controller stood still: stopped, or its machine asleep. */
const MAX_LATENESS_MS = 5_000;
const MAX_PROBES_AT_ONCE = 16;
/** A worker of which there is doubt is given so long to say how it is; then it is gone, within 2 s of its failure. */
const SUSPECT_PATIENCE_MS = 1_500;

export class Fleet {
  readonly #registry: Registry;
  readonly #client: WorkerClient;
  readonly #log: FastifyBaseLogger;
  readonly #token: string | null;
  readonly #checkAddress: (url: string) => void;
  readonly #chronicle: Chronicle;
  #sweep: NodeJS.Timeout | null = null;
  #lastSweepMs = 0;
  #refresh: Promise<void> | null = null;

  /** `checkAddress` throws on addresses that must not be called. */
  constructor(
    registry: Registry,
    client: WorkerClient,
    log: FastifyBaseLogger,
    chronicle: Chronicle,
    token: string | null = null,
    checkAddress: (url: string) => void = () => undefined,
  ) {
    this.#registry = registry;
    this.#client = client;
    this.#log = log;
    this.#chronicle = chronicle;
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
   * Takes a worker in; one that does not bring its status is asked for it. `invalid_request` when it does not answer,
   * `forbidden` when it is not whom it says it is.
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
    // One that registers again tells nothing new; another process at its place does.
    if (known === null || known.incarnation !== worker.incarnation)
      this.#chronicle.note({ kind: "joined", worker: address, models: status.model_names });
  }

  /** Says whether the worker is known; one that is not has to register. */
  heartBeat(beat: HeartBeat): boolean {
    const before = this.#registry.get(beat.worker_name)?.state;
    const isKnown = this.#registry.heartBeat(beat);
    const state = this.#registry.get(beat.worker_name)?.state;
    if (isKnown && state !== undefined && state !== before) {
      this.#log.info({ worker: beat.worker_name }, `worker is ${state}`);
      this.#chronicle.note({ kind: state, worker: beat.worker_name });
    }
    return isKnown;
  }

  /** Says whether this process was known. */
  deregister({ worker_name, incarnation }: DeregisterWorker): boolean {
    const wasKnown = this.#registry.deregister(worker_name, incarnation);
    if (!wasKnown) return false;
    this.#log.info({ worker: worker_name }, "worker deregistered");
    this.#chronicle.note({ kind: "left", worker: worker_name });
    return true;
  }

  /** Asks every worker again; those that do not answer leave the table, which is never empty meanwhile. */
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

  /** This controller as one worker of another controller: all models, all speed, all queues, asked for now. */
  async status(): Promise<WorkerStatus> {
    const statuses = await this.#askAll(() => undefined);
    return {
      model_names: [...new Set(statuses.flatMap(({ model_names }) => model_names))],
      speed: statuses.reduce((sum, { speed }) => sum + speed, 0),
      queue_length: statuses.reduce((sum, { queue_length }) => sum + queue_length, 0),
    };
  }

  /** Whether `keys` of `lease` matter; what they cost can be saved otherwise. */
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
   * A connection to this worker failed. One with heartbeats leaves at once. It comes back when it says how it is and is
   * still the same process, as after a mere hitch of the network; otherwise with its next heartbeat. One without heartbeats
   * could never come back, so it is asked first. Resolves with whether it is gone.
   */
  async suspect(worker: Worker): Promise<boolean> {
    const { address, incarnation } = worker;
    if (!worker.checkHeartBeat) await this.#ask(worker, SUSPECT_PATIENCE_MS);
    else if (this.#drop(worker, "connection", "its connection failed")) {
      if (incarnation === null) return (await this.#statusOf(address, SUSPECT_PATIENCE_MS)) === null;
      await this.#readmit(worker);
    }
    const present = this.#registry.get(address);
    return present === null || present.incarnation !== incarnation;
  }

  async #readmit({ address, incarnation, checkHeartBeat }: Worker): Promise<void> {
    try {
      const status = await this.#statusOf(address, SUSPECT_PATIENCE_MS);
      if (status === null || status.incarnation !== incarnation) return;
      await admitWorker(this.#token, { address, incarnation });
      if (this.#registry.get(address) !== null) return;
      this.#registry.register(address, checkHeartBeat, status);
      this.#log.info({ worker: address }, "worker is still there");
      this.#chronicle.note({ kind: "back", worker: address });
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

  async #ask(worker: Worker, patienceMs?: number): Promise<WorkerStatus | null> {
    const status = await this.#statusOf(worker.address, patienceMs);
    if (status === null) this.#drop(worker, "no_answer", "it did not say how it is");
    return status;
  }

  /** @param patienceMs where it is less than the client's own */
  async #statusOf(address: string, patienceMs?: number): Promise<WorkerStatus | null> {
    const over = new AbortController();
    try {
      const status = this.#client.status(address);
      if (patienceMs === undefined) return await status;
      const silence = sleep(patienceMs, undefined, { signal: over.signal }).then(() => {
        throw new LlavaError("worker_lost", `The worker ${address} said nothing for ${patienceMs} ms.`);
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
    this.#tellLoss(worker, kind, reason);
    return true;
  }

  #tellLoss({ address }: Worker, kind: LossReason, reason: string): void {
    this.#log.warn({ worker: address, reason }, "worker dropped");
    this.#chronicle.note({ kind: "lost", worker: address, reason: kind });
  }

  /** Must never throw: nobody would look any more, and the dead would stay for ever. */
  #dropSilent(): void {
    try {
      this.#forgiveLateness();
      for (const worker of this.#registry.expire()) this.#tellLoss(worker, "no_heartbeat", "no heartbeat");
    } catch (err) {
      this.#log.error({ err }, "could not look for silent workers");
    }
  }

  #forgiveLateness(): void {
    const now = this.#registry.nowMs;
    const lateMs = now - this.#lastSweepMs - SWEEP_INTERVAL_MS;
    this.#lastSweepMs = now;
    if (lateMs <= MAX_LATENESS_MS) return;
    this.#registry.forgive(lateMs);
    this.#log.warn(
      { lateMs: Math.round(lateMs) },
      "the controller stood still; its workers get the time back",
    );
  }
}
