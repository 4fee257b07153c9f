/**
 * Sends a trace through the controller's own registry and dispatch, to workers that are computed. Time is simulated: the same
 * trace, fleet and seed give the same numbers everywhere, so that methods can be compared and tests can assert the results.
 */
import type { DispatchMethod } from "../../apps/controller/src/registry/dispatch.ts";
import { Registry, type Lease } from "../../apps/controller/src/registry/registry.ts";
import type { TraceRequest } from "./dispatch-trace.ts";
import { seeded } from "../support/seeded-random.ts";

/** The workers, and the time that a request takes them. Running requests do not slow each other down. */
export interface FleetOptions {
  readonly workers: number;
  /** The requests that one worker runs at the same time. */
  readonly slots: number;
  /** The requests that may wait in one worker. */
  readonly maxWaiting: number;
  /** The images that one worker caches; the least recently used one is dropped. */
  readonly cachedImages: number;
  /** The time of every prompt before its first token. */
  readonly promptMs: number;
  /** The time that each image adds which is not cached. */
  readonly imageMs: number;
  /** The time that each cached image adds. */
  readonly cachedMs: number;
  /** The time between two tokens. */
  readonly tokenMs: number;
  /** The time between two reports of a worker. */
  readonly heartbeatMs: number;
}

export interface SimulationResult {
  readonly method: DispatchMethod;
  /** The images of all requests. */
  readonly images: number;
  /** Those of them that their worker had cached. */
  readonly hits: number;
  /** The time until each served request ran. */
  readonly waitMs: readonly number[];
  /** The time until the first token of each served request. */
  readonly firstTokenMs: readonly number[];
  /** The requests for which every worker was full. */
  readonly refused: number;
}

const MODEL = "m";

export function simulate(
  method: DispatchMethod,
  trace: readonly TraceRequest[],
  fleet: FleetOptions,
  seed: number,
): SimulationResult {
  const simulation = new Simulation(method, fleet, seed);
  return simulation.run(trace);
}

interface SimulatedWorker {
  readonly address: string;
  running: number;
  readonly waiting: (() => void)[];
  /** The cached images; the least recently used one is the first. */
  readonly images: Set<string>;
  seq: number;
}

class Simulation {
  readonly #method: DispatchMethod;
  readonly #fleet: FleetOptions;
  readonly #clock = new Clock();
  readonly #registry: Registry;
  readonly #workers: ReadonlyMap<string, SimulatedWorker>;
  readonly #waitMs: number[] = [];
  readonly #firstTokenMs: number[] = [];
  #images = 0;
  #hits = 0;
  #refused = 0;
  #unfinished = 0;

  constructor(method: DispatchMethod, fleet: FleetOptions, seed: number) {
    this.#method = method;
    this.#fleet = fleet;
    this.#registry = new Registry({
      dispatchMethod: method,
      expiryMs: 2 * fleet.heartbeatMs,
      now: () => this.#clock.ms,
      random: seeded(seed),
    });
    const workers = Array.from({ length: fleet.workers }, (_, index): SimulatedWorker => {
      return { address: `http://worker-${index}`, running: 0, waiting: [], images: new Set(), seq: 0 };
    });
    this.#workers = new Map(workers.map((worker) => [worker.address, worker]));
  }

  run(trace: readonly TraceRequest[]): SimulationResult {
    this.#unfinished = trace.length;
    for (const [index, worker] of [...this.#workers.values()].entries()) {
      const report = this.#report(worker);
      this.#registry.register(worker.address, true, { model_names: [MODEL], speed: 1, ...report });
      // Workers do not send their heartbeats at the same time.
      this.#clock.after(((index + 1) / this.#fleet.workers) * this.#fleet.heartbeatMs, () =>
        this.#beat(worker),
      );
    }
    for (const request of trace) this.#clock.after(request.at_ms, () => this.#arrive(request, new Set()));
    this.#clock.run(() => this.#unfinished > 0);
    return {
      method: this.#method,
      images: this.#images,
      hits: this.#hits,
      waitMs: this.#waitMs,
      firstTokenMs: this.#firstTokenMs,
      refused: this.#refused,
    };
  }

  #beat(worker: SimulatedWorker): void {
    this.#registry.heartBeat({ worker_name: worker.address, ...this.#report(worker) });
    this.#clock.after(this.#fleet.heartbeatMs, () => this.#beat(worker));
  }

  #report(worker: SimulatedWorker): Omit<Parameters<Registry["heartBeat"]>[0], "worker_name"> {
    worker.seq += 1;
    const { running, waiting, images, seq } = worker;
    return {
      queue_length: running + waiting.length,
      incarnation: worker.address.slice("http://".length),
      seq,
      load: {
        running,
        waiting: waiting.length,
        max_running: this.#fleet.slots,
        max_waiting: this.#fleet.maxWaiting,
      },
      image_keys: [...images].toReversed(),
    };
  }

  /** Does what the controller's relay does: a request that a full worker refuses goes to another one. */
  #arrive(request: TraceRequest, tried: Set<number>): void {
    const keys = { imageKeys: request.images, promptKey: request.conversation };
    const lease = this.#registry.lease(MODEL, tried, keys);
    const worker = lease === null ? undefined : this.#workers.get(lease.worker.address);
    if (lease === null || worker === undefined) {
      this.#refused += 1;
      this.#unfinished -= 1;
      return;
    }
    const start = (): void => this.#start(request, worker, lease);
    if (worker.running < this.#fleet.slots) start();
    else if (worker.waiting.length < this.#fleet.maxWaiting) worker.waiting.push(start);
    else {
      tried.add(lease.worker.registration);
      lease.cancel();
      this.#arrive(request, tried);
    }
  }

  #start(request: TraceRequest, worker: SimulatedWorker, lease: Lease): void {
    const { promptMs, imageMs, cachedMs, tokenMs } = this.#fleet;
    worker.running += 1;
    const hits = request.images.filter((image) => worker.images.has(image)).length;
    this.#images += request.images.length;
    this.#hits += hits;
    const prefillMs = promptMs + hits * cachedMs + (request.images.length - hits) * imageMs;
    const waitedMs = this.#clock.ms - request.at_ms;
    this.#waitMs.push(waitedMs);
    this.#firstTokenMs.push(waitedMs + prefillMs);
    this.#clock.after(prefillMs, () => this.#remember(worker, request.images));
    this.#clock.after(prefillMs + request.new_tokens * tokenMs, () => {
      worker.running -= 1;
      lease.release();
      this.#unfinished -= 1;
      worker.waiting.shift()?.();
    });
  }

  #remember({ images }: SimulatedWorker, used: readonly string[]): void {
    for (const image of used) {
      images.delete(image);
      images.add(image);
    }
    for (const oldest of images) {
      if (images.size <= this.#fleet.cachedImages) break;
      images.delete(oldest);
    }
  }
}

/** Runs planned functions at their simulated milliseconds. */
class Clock {
  ms = 0;
  /** A binary heap with the earliest plan first; among equals it is the one that was planned first. */
  readonly #plans: Plan[] = [];
  #numPlanned = 0;

  after(ms: number, act: () => void): void {
    const plan = { atMs: this.ms + ms, order: this.#numPlanned, act };
    this.#numPlanned += 1;
    let at = this.#plans.push(plan) - 1;
    for (let up = (at - 1) >> 1; at > 0 && isEarlier(plan, this.#plans[up]); up = (at - 1) >> 1) {
      this.#swap(at, up);
      at = up;
    }
  }

  run(goesOn: () => boolean): void {
    while (goesOn()) {
      const plan = this.#takeEarliest();
      if (plan === undefined) return;
      this.ms = plan.atMs;
      plan.act();
    }
  }

  #takeEarliest(): Plan | undefined {
    this.#swap(0, this.#plans.length - 1);
    const earliest = this.#plans.pop();
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      const down = isEarlier(this.#plans[left + 1], this.#plans[left]) ? left + 1 : left;
      if (!isEarlier(this.#plans[down], this.#plans[at])) return earliest;
      this.#swap(at, down);
      at = down;
    }
  }

  #swap(one: number, other: number): void {
    const [first, second] = [this.#plans[one], this.#plans[other]];
    if (first === undefined || second === undefined) return;
    this.#plans[one] = second;
    this.#plans[other] = first;
  }
}

interface Plan {
  readonly atMs: number;
  readonly order: number;
  readonly act: () => void;
}

function isEarlier(one: Plan | undefined, other: Plan | undefined): boolean {
  if (one === undefined || other === undefined) return false;
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
