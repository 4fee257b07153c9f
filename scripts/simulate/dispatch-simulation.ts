/**
 * A trace through the controller's own registry and dispatch, with workers that exist only as arithmetic. Time is simulated:
 * the same trace, fleet and seed give the same numbers everywhere, so methods can be compared and the result asserted.
 */
import type { DispatchMethod } from "../../apps/controller/src/registry/dispatch.ts";
import { Registry, type Lease } from "../../apps/controller/src/registry/registry.ts";
import type { TraceRequest } from "./dispatch-trace.ts";
import { seeded } from "../faults/fleet/seeded-random.ts";

/** Workers, and what a request costs them. Running requests do not slow each other down. */
export interface FleetOptions {
  readonly workers: number;
  /** Requests that one worker runs at the same time. */
  readonly places: number;
  readonly maxWaiting: number;
  /** Images that one worker remembers; the one used longest ago goes. */
  readonly cachedImages: number;
  /** Before the first token: always, for each image that has to be looked at, and for each that is remembered. */
  readonly promptMs: number;
  readonly imageMs: number;
  readonly cachedMs: number;
  /** Between tokens. */
  readonly tokenMs: number;
  readonly heartbeatMs: number;
}

export interface SimulationResult {
  readonly method: DispatchMethod;
  /** Images of all requests, and those that their worker remembered. */
  readonly images: number;
  readonly hits: number;
  /** Of each request that was served: until it ran, and until its first token. */
  readonly waitMs: readonly number[];
  readonly firstTokenMs: readonly number[];
  /** Every worker was full. */
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
  /** The one used longest ago first. */
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
      // Workers do not beat in step.
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
        max_running: this.#fleet.places,
        max_waiting: this.#fleet.maxWaiting,
      },
      image_keys: [...images].toReversed(),
    };
  }

  /** As the controller's relay does it: a worker that is full passes the request on to another one. */
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
    if (worker.running < this.#fleet.places) start();
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

/** Simulated milliseconds, and what is to happen at which of them. */
class Clock {
  ms = 0;
  /** A binary heap: the earliest first, of equals the one that was planned first. */
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
