import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DISPATCH_METHODS, type DispatchMethod } from "./dispatch.ts";
import { registryFaults } from "./registry-invariants.ts";
import { Registry, type Lease, type Worker } from "./registry.ts";

const EXPIRY_MS = 100;

const address = fc.constantFrom("http://a", "http://b", "http://c");
const incarnation = fc.constantFrom("one", "two");
const models = fc.uniqueArray(fc.constantFrom("m", "n"));
const state = fc.constantFrom("ready", "draining");
const queue_length = fc.nat(9);
const image_keys = fc.uniqueArray(fc.constantFrom("p", "q"));
const index = fc.nat(20);
const load = fc.record({
  running: fc.nat(3),
  waiting: fc.nat(3),
  max_running: fc.nat(3),
  max_waiting: fc.nat(3),
});

const step = fc.oneof(
  fc.record({
    type: fc.constant("register"),
    address,
    checkHeartBeat: fc.boolean(),
    status: fc.record(
      {
        model_names: models,
        speed: fc.constantFrom(0.5, 1, 4),
        queue_length,
        incarnation,
        state,
        image_keys,
        load,
      },
      { requiredKeys: ["model_names", "speed", "queue_length"] },
    ),
  }),
  fc.record({
    type: fc.constant("heartBeat"),
    beat: fc.record(
      { worker_name: address, queue_length, incarnation, state, image_keys, load, seq: fc.nat(5) },
      { requiredKeys: ["worker_name", "queue_length"] },
    ),
  }),
  fc.record({ type: fc.constant("deregister"), address, incarnation }),
  fc.record({
    type: fc.constant("lease"),
    model: fc.constantFrom("m", "n"),
    except: fc.uniqueArray(fc.nat(6)),
    keys: fc.record({ imageKeys: image_keys, promptKey: fc.constantFrom("t", null) }),
  }),
  fc.record({ type: fc.constant("assign"), model: fc.constantFrom("m", "n") }),
  fc.record({ type: fc.constantFrom("release", "cancel"), index }),
  // Any registration that there ever was, as a request that failed late has one.
  fc.record({ type: fc.constant("remove"), index }),
  fc.record({ type: fc.constant("expire") }),
  fc.record({ type: fc.constant("extend"), ms: fc.nat(50) }),
  fc.record({ type: fc.constant("pass"), ms: fc.nat(60) }),
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** A registry, its clock, and everything that it has returned. */
class History {
  readonly clock = { ms: 0 };
  readonly registry: Registry;
  readonly registered: Worker[] = [];
  readonly leases: Lease[] = [];

  constructor(dispatchMethod: DispatchMethod, random: () => number) {
    this.registry = new Registry({ dispatchMethod, expiryMs: EXPIRY_MS, now: () => this.clock.ms, random });
  }

  take(step: Step): void {
    const { registry, clock } = this;
    switch (step.type) {
      case "register":
        this.registered.push(registry.register(step.address, step.checkHeartBeat, step.status));
        break;
      case "heartBeat":
        registry.heartBeat(step.beat);
        break;
      case "deregister":
        if (registry.deregister(step.address, step.incarnation))
          expect(registry.get(step.address)).toBeNull();
        break;
      case "lease": {
        const lease = registry.lease(step.model, new Set(step.except), step.keys);
        if (lease !== null) this.leases.push(lease);
        this.check(lease?.worker ?? null, step.model, step.except);
        break;
      }
      case "assign":
        this.check(registry.assign(step.model), step.model, []);
        break;
      case "release":
        this.leases[step.index]?.release();
        break;
      case "cancel":
        this.leases[step.index]?.cancel();
        break;
      case "remove":
        this.remove(this.registered[step.index]);
        break;
      case "expire":
        registry.expire();
        expect(registry.workers.filter((worker) => this.isExpired(worker))).toEqual([]);
        break;
      case "extend":
        registry.extendDeadlines(step.ms);
        break;
      case "pass":
        clock.ms += step.ms;
        break;
    }
  }

  /** Checks that the chosen worker may be chosen, and that one is chosen when there is one. */
  check(chosen: Worker | null, model: string, except: readonly number[]): void {
    const eligible = this.registry.workers.filter(
      (worker) =>
        worker.models.includes(model) &&
        worker.state === "ready" &&
        !this.isExpired(worker) &&
        !except.includes(worker.registration),
    );
    const registrations = eligible.map(({ registration }) => registration);
    if (chosen === null) expect(registrations).toEqual([]);
    else expect(registrations).toContain(chosen.registration);
  }

  remove(worker: Worker | undefined): void {
    if (worker === undefined) return;
    const now = this.registry.get(worker.address);
    const isCurrent = now?.registration === worker.registration;
    expect(this.registry.remove(worker)).toBe(isCurrent);
    if (!isCurrent) expect(this.registry.get(worker.address)).toBe(now);
  }

  isExpired({ checkHeartBeat, lastHeartBeatMs }: Worker): boolean {
    return checkHeartBeat && lastHeartBeatMs < this.clock.ms - EXPIRY_MS;
  }
}

describe("the registry's invariants", () => {
  it("hold after every step of any history, by every method", () => {
    const draws = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(
        fc.constantFrom(...DISPATCH_METHODS),
        fc.array(step, { maxLength: 60, size: "max" }),
        draws,
        (method, steps, draws) => {
          let at = 0;
          const history = new History(method, () => draws[at++ % draws.length] ?? 0);
          for (const step of steps) {
            history.take(step);
            expect(registryFaults(history.registry)).toEqual([]);
          }
          for (const lease of history.leases) lease.release();
          expect(
            history.registry.workers.map(({ numLeases }) => numLeases).filter((number) => number > 0),
          ).toEqual([]);
          expect(history.registry.leases).toEqual([]);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("are named where they do not hold", () => {
    const registry = new Registry({ dispatchMethod: "lottery", expiryMs: 1, now: () => 0, random: () => 0 });
    registry.register("http://a", true, { model_names: ["m"], speed: 1, queue_length: 0 });
    const [worker] = registry.workers;
    if (worker === undefined) throw new Error("there is no worker");
    const broken = { ...worker, queueLength: -1, numLeases: 2, lastHeartBeatMs: 5, speed: 0 };
    const stage = { workers: [broken, broken], leases: [], models: ["m", "gone"], nowMs: 0 };
    expect(registryFaults(stage)).toEqual(
      expect.arrayContaining([
        "An address is in the table twice.",
        "Two workers have one registration.",
        "The queue of http://a is -1.",
        "http://a counts 2 leases, and 0 are out.",
        "The heartbeat of http://a is of 5, after 0.",
        "http://a has models and the speed 0.",
        "The model gone is listed, and no worker that takes requests has it.",
      ]),
    );
    const lease: Lease = { worker, release: () => undefined, cancel: () => undefined };
    expect(registryFaults({ workers: [], leases: [lease], models: [], nowMs: 0 })).toEqual([
      "A lease is counted for http://a, which has left.",
    ]);
  });
});
