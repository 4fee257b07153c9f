/** Holds the table of workers and their leases. It waits for nothing, so that it changes in one tick and by named steps. */
import {
  HEARTBEAT_INTERVAL_MS,
  LlavaError,
  type HeartBeat,
  type WorkerCapabilities,
  type WorkerLoad,
  type WorkerReport,
  type WorkerState,
  type WorkerStatus,
} from "@llava/protocol";
import { choose, NO_KEYS, type Candidate, type DispatchMethod, type RequestKeys } from "./dispatch.ts";
import { CachedKeys } from "./cached-keys.ts";

export interface Worker {
  /** The worker's URL, which is also its name. */
  readonly address: string;
  readonly models: readonly string[];
  readonly speed: number;
  /** The queue that the worker last reported, and the requests given to it since. */
  readonly queueLength: number;
  /** The requests that are being relayed to this process now, by our own count. */
  readonly numLeases: number;
  /** Whether the worker sends heartbeats; one that does not is kept until it fails. */
  readonly checkHeartBeat: boolean;
  /** The time of its last heartbeat on the registry's clock. */
  readonly lastHeartBeatMs: number;
  /** A number that grows with every registration, so that failures of an earlier one do not count for a later one. */
  readonly registration: number;
  /** Whether it takes new requests, which a worker that is draining does not. */
  readonly state: WorkerState;
  /** The worker's own name. As the fields below, it is null for the original's workers, which do not report it. */
  readonly workerId: string | null;
  /** The name of the worker's process. */
  readonly incarnation: string | null;
  readonly load: WorkerLoad | null;
  readonly version: string | null;
  /** When its process started, on the registry's clock. */
  readonly startedMs: number | null;
  /** The tokens a second of all its answers together, as it last reported them. */
  readonly tokensPerS: number | null;
  readonly capabilities: WorkerCapabilities | null;
}

/** A worker with one more request in its queue, until released. */
export interface Lease {
  readonly worker: Worker;
  /** Call when the request has ended. Further calls do nothing. */
  readonly release: () => void;
  /** Call instead of `release` for a request that was never sent, of which the worker then caches nothing. */
  readonly cancel: () => void;
}

export interface RegistryOptions {
  readonly dispatchMethod: DispatchMethod;
  readonly expiryMs: number;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  /** A source of random numbers from 0 up to 1. */
  readonly random: () => number;
}

export const MAX_WORKERS = 1024;
/** The age of a report from which it is not used any more. */
const STALE_MS = 2 * HEARTBEAT_INTERVAL_MS;

/** A worker and what is known about its process; a new process is a new entry. */
interface Entry {
  worker: Worker;
  readonly leases: Set<Lease>;
  readonly cachedKeys: CachedKeys;
  /** The number of its last report; -1 before the first. */
  seq: number;
}

export class Registry {
  readonly #options: RegistryOptions;
  /** The entries by address, in the order of first registration, which decides between equals. */
  readonly #entries = new Map<string, Entry>();
  #registrations = 0;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  get workers(): readonly Worker[] {
    return Array.from(this.#entries.values(), ({ worker }) => worker);
  }

  /** Names of all models that requests can go to, each once. */
  get models(): readonly string[] {
    return [
      ...new Set(this.workers.filter((worker) => this.#isOpen(worker)).flatMap(({ models }) => models)),
    ];
  }

  get dispatchMethod(): DispatchMethod {
    return this.#options.dispatchMethod;
  }

  get nowMs(): number {
    return this.#options.now();
  }

  /** The open leases of all workers in the table. */
  get leases(): readonly Lease[] {
    return [...this.#entries.values()].flatMap(({ leases }) => [...leases]);
  }

  /** The requests of all workers together, by their last reports and the requests given to them since. */
  get queue(): { readonly running: number; readonly waiting: number } {
    let [running, waiting] = [0, 0];
    for (const { load, queueLength, numLeases } of this.workers) {
      const known = Math.max(queueLength, numLeases);
      const places = load?.max_running ?? known;
      running += Math.min(known, places);
      waiting += Math.max(0, known - places);
    }
    return { running, waiting };
  }

  get(address: string): Worker | null {
    return this.#entries.get(address)?.worker ?? null;
  }

  /** Whether this worker's process probably has what the key names. */
  holds(address: string, key: string): boolean {
    return this.#entries.get(address)?.cachedKeys.holds(key) ?? false;
  }

  /** Adds a worker, or updates a known one. Throws `overloaded` when the table is full. */
  register(address: string, checkHeartBeat: boolean, status: WorkerStatus): Worker {
    const known = this.#entries.get(address);
    if (known === undefined && this.#entries.size >= MAX_WORKERS) {
      throw new LlavaError(
        "overloaded",
        `The controller keeps at most ${MAX_WORKERS} workers; stop some first.`,
      );
    }
    this.#registrations += 1;
    const { incarnation } = status;
    const same = incarnation !== undefined && known?.worker.incarnation === incarnation ? known : null;
    const worker: Worker = {
      address,
      models: status.model_names,
      speed: status.speed,
      queueLength: status.queue_length,
      numLeases: same?.leases.size ?? 0,
      checkHeartBeat,
      lastHeartBeatMs: this.#options.now(),
      registration: this.#registrations,
      state: status.state ?? "ready",
      workerId: status.worker_id ?? same?.worker.workerId ?? null,
      incarnation: incarnation ?? null,
      load: status.load ?? null,
      version: status.version ?? null,
      startedMs: status.uptime_s === undefined ? null : this.#options.now() - status.uptime_s * 1000,
      tokensPerS: status.tokens_per_s ?? null,
      capabilities: status.capabilities ?? null,
    };
    const entry = same ?? { worker, leases: new Set(), cachedKeys: new CachedKeys(), seq: -1 };
    entry.worker = worker;
    this.#entries.set(address, entry);
    takeReport(entry, status);
    return worker;
  }

  /**
   * Takes a worker's report; one that arrives after a later one changes nothing.
   * @returns whether this process is known; one that is not has to register
   */
  heartBeat(beat: HeartBeat): boolean {
    const entry = this.#entries.get(beat.worker_name);
    if (entry === undefined || entry.worker.incarnation !== (beat.incarnation ?? null)) return false;
    if (beat.seq !== undefined && beat.seq <= entry.seq) return true;
    entry.worker = {
      ...entry.worker,
      queueLength: beat.queue_length,
      lastHeartBeatMs: this.#options.now(),
      state: beat.state ?? entry.worker.state,
      load: beat.load ?? null,
      tokensPerS: beat.tokens_per_s ?? null,
    };
    takeReport(entry, beat);
    return true;
  }

  /** Removes a worker that deregisters. @returns whether this process was known */
  deregister(address: string, incarnation: string): boolean {
    return this.get(address)?.incarnation === incarnation && this.#entries.delete(address);
  }

  /** Removes this registration; a later one of the same address stays. @returns whether it was there */
  remove({ address, registration }: Worker): boolean {
    return this.get(address)?.registration === registration && this.#entries.delete(address);
  }

  /** Removes and returns the workers whose last heartbeat is too old. */
  expire(): readonly Worker[] {
    const expired = this.workers.filter((worker) => this.#isExpired(worker));
    for (const worker of expired) this.remove(worker);
    return expired;
  }

  /** Call when the controller itself stood still for so long: heartbeats that it missed then do not count as missing. */
  extendDeadlines(ms: number): void {
    const now = this.#options.now();
    for (const entry of this.#entries.values()) {
      const lastHeartBeatMs = Math.min(now, entry.worker.lastHeartBeatMs + ms);
      entry.worker = { ...entry.worker, lastHeartBeatMs };
    }
  }

  /**
   * A lease of a worker for the model, by the dispatch method; null when there is none.
   * @param except registrations that were tried already
   */
  lease(model: string, except: ReadonlySet<number> = new Set(), keys: RequestKeys = NO_KEYS): Lease | null {
    const entry = this.#choose(model, except, keys);
    if (entry === null) return null;
    const forget = this.#options.dispatchMethod === "image_affinity" ? entry.cachedKeys.send(keys) : null;
    const release = (): void => {
      if (entry.leases.delete(lease)) count(entry, -1);
    };
    const cancel = (): void => {
      if (entry.leases.has(lease)) forget?.();
      release();
    };
    const lease: Lease = { worker: entry.worker, release, cancel };
    entry.leases.add(lease);
    count(entry, 1);
    return lease;
  }

  /**
   * A worker for a client that will ask it directly. The request is counted in its queue until its next heartbeat, as in
   * haotian-liu/LLaVA (`llava/serve/controller.py`, get_worker_address).
   */
  assign(model: string): Worker | null {
    const entry = this.#choose(model, new Set(), NO_KEYS);
    if (entry === null) return null;
    count(entry, 1);
    return entry.worker;
  }

  #choose(model: string, except: ReadonlySet<number>, keys: RequestKeys): Entry | null {
    const nowMs = this.#options.now();
    const candidates: (Candidate & { readonly entry: Entry })[] = [];
    for (const entry of this.#entries.values()) {
      const { worker } = entry;
      const isCandidate = worker.models.includes(model) && !except.has(worker.registration);
      if (isCandidate && this.#isOpen(worker, nowMs)) candidates.push(candidateOf(entry, nowMs));
    }
    return choose(this.#options.dispatchMethod, candidates, this.#options.random, keys)?.entry ?? null;
  }

  /** Whether it may be chosen: a worker whose heartbeat is too old gets no request, also before `expire` removes it. */
  #isOpen(worker: Worker, nowMs = this.#options.now()): boolean {
    return worker.state === "ready" && !this.#isExpired(worker, nowMs);
  }

  #isExpired({ checkHeartBeat, lastHeartBeatMs }: Worker, nowMs = this.#options.now()): boolean {
    return checkHeartBeat && lastHeartBeatMs < nowMs - this.#options.expiryMs;
  }
}

function candidateOf(entry: Entry, nowMs: number): Candidate & { readonly entry: Entry } {
  const { speed, queueLength, numLeases, load, lastHeartBeatMs } = entry.worker;
  return {
    entry,
    speed,
    queueLength,
    isQueueKnown: nowMs - lastHeartBeatMs <= STALE_MS,
    numLeases,
    capacity: load === null ? null : load.max_running + load.max_waiting,
    holds: (key) => entry.cachedKeys.holds(key),
  };
}

/** Counts a request that was given to the worker, or has ended there. */
function count(entry: Entry, change: 1 | -1): void {
  const queueLength = Math.max(0, entry.worker.queueLength + change);
  entry.worker = { ...entry.worker, queueLength, numLeases: entry.leases.size };
}

function takeReport(entry: Entry, { seq, image_keys }: WorkerReport): void {
  if (seq !== undefined) entry.seq = seq;
  if (image_keys !== undefined) entry.cachedKeys.report(image_keys);
}
