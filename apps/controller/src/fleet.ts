/** Keeps the registry true: asks workers, drops the dead, forgets the silent. Apart from the registry because all of this waits. */
import { type RegisterWorker, type WorkerStatus } from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import type { Lease, Registry, Worker } from "./registry.ts";
import type { WorkerClient } from "./worker-client.ts";

/** A dead worker is gone at most this long after its heartbeats have expired. */
const SWEEP_INTERVAL_MS = 1_000;
const MAX_PROBES_AT_ONCE = 16;

export class Fleet {
  readonly #registry: Registry;
  readonly #client: WorkerClient;
  readonly #log: FastifyBaseLogger;
  #sweep: NodeJS.Timeout | null = null;
  #refresh: Promise<void> | null = null;

  constructor(registry: Registry, client: WorkerClient, log: FastifyBaseLogger) {
    this.#registry = registry;
    this.#client = client;
    this.#log = log;
  }

  start(): void {
    this.#sweep ??= setInterval(() => this.#dropSilent(), SWEEP_INTERVAL_MS).unref();
  }

  stop(): void {
    if (this.#sweep !== null) clearInterval(this.#sweep);
    this.#sweep = null;
  }

  /** Takes a worker in. One that does not bring its status is asked for it, and not taken in when it does not answer. */
  async register(body: RegisterWorker): Promise<void> {
    const address = body.worker_name;
    const status = body.worker_status ?? (await this.#statusOf(address));
    if (status === null) return;
    this.#registry.register(address, body.check_heart_beat, status);
    this.#log.info({ worker: address, models: status.model_names }, "worker registered");
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

  lease(model: string, except?: ReadonlySet<number>): Lease | null {
    return this.#registry.lease(model, except);
  }

  get models(): readonly string[] {
    return this.#registry.models;
  }

  /**
   * A connection to this worker failed. One with heartbeats leaves at once and comes back with its next one, should it
   * live; one without could never come back, so it is asked first.
   */
  async suspect(worker: Worker): Promise<void> {
    if (worker.checkHeartBeat) this.#drop(worker, "its connection failed");
    else await this.#ask(worker);
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

  async #ask(worker: Worker): Promise<WorkerStatus | null> {
    const status = await this.#statusOf(worker.address);
    if (status === null) this.#drop(worker, "it did not say how it is");
    return status;
  }

  async #statusOf(address: string): Promise<WorkerStatus | null> {
    try {
      return await this.#client.status(address);
    } catch (err) {
      this.#log.warn({ worker: address, err }, "worker does not answer");
      return null;
    }
  }

  #drop(worker: Worker, reason: string): void {
    if (this.#registry.remove(worker)) this.#log.warn({ worker: worker.address, reason }, "worker dropped");
  }

  #dropSilent(): void {
    for (const { address } of this.#registry.expire()) {
      this.#log.warn({ worker: address, reason: "no heartbeat" }, "worker dropped");
    }
  }
}
