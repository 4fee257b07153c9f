/** The table of workers: apart from everything that talks, so that it changes only in one tick and by a few named steps. */
import { LlavaError, type WorkerStatus } from "@llava/protocol";
import { choose, type DispatchMethod } from "./dispatch.ts";

export interface Worker {
  /** Its URL, which is also its name. */
  readonly address: string;
  readonly models: readonly string[];
  readonly speed: number;
  /** What the worker last said, and the requests given to it since. */
  readonly queueLength: number;
  /** Without heartbeats a worker is kept until it fails. */
  readonly checkHeartBeat: boolean;
  /** On the registry's clock. */
  readonly lastHeartBeatMs: number;
  /** Grows with every registration, so that what is known about an earlier one is not held against a later one. */
  readonly registration: number;
}

/** A worker with one more request in its queue, until released. */
export interface Lease {
  readonly worker: Worker;
  /** Call once, when the request has ended. */
  readonly release: () => void;
}

export interface RegistryOptions {
  readonly dispatchMethod: DispatchMethod;
  readonly expiryMs: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly random: () => number;
}

const MAX_WORKERS = 1024;

export class Registry {
  readonly #options: RegistryOptions;
  /** In order of first registration, which decides between equals. */
  readonly #workers = new Map<string, Worker>();
  #registrations = 0;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  get workers(): readonly Worker[] {
    return [...this.#workers.values()];
  }

  /** Names of all models, each once. */
  get models(): readonly string[] {
    return [...new Set(this.workers.flatMap(({ models }) => models))];
  }

  get(address: string): Worker | null {
    return this.#workers.get(address) ?? null;
  }

  /** Adds a worker or takes a known one's new word; `overloaded` when the table is full. */
  register(address: string, checkHeartBeat: boolean, status: WorkerStatus): Worker {
    if (!this.#workers.has(address) && this.#workers.size >= MAX_WORKERS) {
      throw new LlavaError(
        "overloaded",
        `The controller keeps at most ${MAX_WORKERS} workers; stop some first.`,
      );
    }
    this.#registrations += 1;
    const worker: Worker = {
      address,
      models: status.model_names,
      speed: status.speed,
      queueLength: status.queue_length,
      checkHeartBeat,
      lastHeartBeatMs: this.#options.now(),
      registration: this.#registrations,
    };
    this.#workers.set(address, worker);
    return worker;
  }

  /** False when the worker is not known: it has to register again. */
  heartBeat(address: string, queueLength: number): boolean {
    const worker = this.#workers.get(address);
    if (worker === undefined) return false;
    this.#workers.set(address, { ...worker, queueLength, lastHeartBeatMs: this.#options.now() });
    return true;
  }

  /** Takes this registration out; a later one of the same address stays. Says whether there was one. */
  remove({ address, registration }: Worker): boolean {
    if (this.#workers.get(address)?.registration !== registration) return false;
    return this.#workers.delete(address);
  }

  /** Takes out the workers whose last heartbeat is too old. */
  expire(): readonly Worker[] {
    const oldest = this.#options.now() - this.#options.expiryMs;
    const expired = this.workers.filter((worker) => worker.checkHeartBeat && worker.lastHeartBeatMs < oldest);
    for (const worker of expired) this.remove(worker);
    return expired;
  }

  /** A worker for the model by the dispatch method, or null. `except`: registrations that were tried already. */
  lease(model: string, except: ReadonlySet<number> = new Set()): Lease | null {
    const candidates = this.workers.filter(
      ({ models, registration }) => models.includes(model) && !except.has(registration),
    );
    const worker = choose(this.#options.dispatchMethod, candidates, this.#options.random);
    if (worker === null) return null;
    this.#addToQueue(worker, 1);
    return { worker, release: () => this.#addToQueue(worker, -1) };
  }

  #addToQueue({ address, registration }: Worker, change: number): void {
    const worker = this.#workers.get(address);
    if (worker?.registration !== registration) return;
    this.#workers.set(address, { ...worker, queueLength: Math.max(0, worker.queueLength + change) });
  }
}
