import type { HeartBeat, WorkerReport, WorkerStatus } from "@llava/protocol";
import { describe, expect, it } from "vitest";
import type { DispatchMethod } from "./dispatch.ts";
import { Registry } from "./registry.ts";

function registryAt(clock: { ms: number }, dispatchMethod: DispatchMethod = "shortest_queue"): Registry {
  return new Registry({ dispatchMethod, expiryMs: 30_000, now: () => clock.ms, random: () => 0 });
}

const status = (models: readonly string[], queueLength = 0, report: WorkerReport = {}): WorkerStatus => ({
  model_names: models,
  speed: 1,
  queue_length: queueLength,
  ...report,
});

const beat = (worker_name: string, queue_length: number, report: WorkerReport = {}): HeartBeat => ({
  worker_name,
  queue_length,
  ...report,
});

describe("heartbeats", () => {
  it("that stop expire a worker after the limit and not at it", () => {
    const clock = { ms: 0 };
    const registry = registryAt(clock);
    registry.register("http://a", true, status(["m"]));
    registry.register("http://b", false, status(["m"]));
    clock.ms = 20_000;
    expect(registry.heartBeat(beat("http://a", 4))).toBe(true);
    clock.ms = 50_000;
    expect(registry.expire()).toEqual([]);
    clock.ms = 50_001;
    expect(registry.expire().map(({ address }) => address)).toEqual(["http://a"]);
    expect(registry.workers.map(({ address }) => address)).toEqual(["http://b"]);
    expect(registry.heartBeat(beat("http://a", 0))).toBe(false);
  });

  it("that are late exclude a worker even before the sweep", () => {
    const clock = { ms: 0 };
    const registry = registryAt(clock);
    registry.register("http://a", true, status(["m"]));
    clock.ms = 30_001;
    expect(registry.lease("m")).toBeNull();
    expect(registry.models).toEqual([]);
    registry.extendDeadlines(10);
    expect(registry.lease("m")?.worker.address).toBe("http://a");
  });

  it("overwrite what the registry counted itself, which never counts below nothing", () => {
    const registry = registryAt({ ms: 0 });
    registry.register("http://a", true, status(["m"]));
    const leases = [registry.lease("m"), registry.lease("m")];
    expect(registry.get("http://a")).toMatchObject({ queueLength: 2, numLeases: 2 });
    registry.heartBeat(beat("http://a", 1));
    for (const lease of leases) lease?.release();
    expect(registry.get("http://a")).toMatchObject({ queueLength: 0, numLeases: 0 });
  });

  it("of another process, or of none where there was one, are of an unknown worker", () => {
    const registry = registryAt({ ms: 0 });
    registry.register("http://a", true, status(["m"], 5, { incarnation: "one" }));
    expect(registry.heartBeat(beat("http://a", 1, { incarnation: "two" }))).toBe(false);
    expect(registry.heartBeat(beat("http://a", 1))).toBe(false);
    expect(registry.get("http://a")?.queueLength).toBe(5);
    expect(registry.heartBeat(beat("http://a", 1, { incarnation: "one" }))).toBe(true);
  });

  it("that arrive after later ones change nothing", () => {
    const registry = registryAt({ ms: 0 });
    registry.register("http://a", true, status(["m"], 0, { incarnation: "one", seq: 1 }));
    registry.heartBeat(beat("http://a", 3, { incarnation: "one", seq: 3, state: "draining" }));
    expect(registry.heartBeat(beat("http://a", 2, { incarnation: "one", seq: 2, state: "ready" }))).toBe(
      true,
    );
    expect(registry.get("http://a")).toMatchObject({ queueLength: 3, state: "draining" });
  });

  it("without a load make the load unknown, not zero", () => {
    const registry = registryAt({ ms: 0 });
    const load = { running: 1, waiting: 0, max_running: 5, max_waiting: 20 };
    registry.register("http://a", true, status(["m"], 1, { load }));
    expect(registry.get("http://a")?.load).toEqual(load);
    registry.heartBeat(beat("http://a", 1));
    expect(registry.get("http://a")?.load).toBeNull();
  });

  it("that are too old are not used", () => {
    const clock = { ms: 0 };
    const registry = registryAt(clock);
    registry.register("http://old", false, status(["m"], 0));
    clock.ms = 30_001;
    registry.register("http://new", true, status(["m"], 9));
    const held = registry.lease("m");
    expect(held?.worker.address).toBe("http://old");
    expect(registry.lease("m")?.worker.address).toBe("http://new");
  });
});

describe("registrations", () => {
  it("do not count a failure of an earlier one for a later one", () => {
    const registry = registryAt({ ms: 0 });
    const earlier = registry.register("http://a", true, status(["m"]));
    const lease = registry.lease("m");
    registry.register("http://a", true, status(["m"], 7));
    lease?.release();
    expect(registry.remove(earlier)).toBe(false);
    expect(registry.get("http://a")?.queueLength).toBe(7);
  });

  it("of the same process keep what runs there, of a new one begin anew", () => {
    const registry = registryAt({ ms: 0 }, "image_affinity");
    const keys = { imageKeys: ["p"], promptKey: "t" };
    registry.register("http://a", true, status(["m"], 0, { incarnation: "one", worker_id: "w" }));
    const lease = registry.lease("m", undefined, keys);
    registry.register("http://a", true, status(["m"], 1, { incarnation: "one" }));
    expect(registry.get("http://a")).toMatchObject({ numLeases: 1, workerId: "w" });
    expect(registry.holds("http://a", "p")).toBe(true);
    registry.register("http://a", true, status(["m"], 0, { incarnation: "two" }));
    expect(registry.get("http://a")).toMatchObject({ numLeases: 0, workerId: null });
    expect(registry.holds("http://a", "p")).toBe(false);
    lease?.release();
    expect(registry.get("http://a")).toMatchObject({ numLeases: 0, queueLength: 0 });
  });

  it("keep the worker's rank, and those that were tried are skipped", () => {
    const registry = registryAt({ ms: 0 });
    registry.register("http://a", true, status(["m"]));
    registry.register("http://b", true, status(["m", "n"]));
    const again = registry.register("http://a", true, status(["m"]));
    const first = registry.lease("m");
    expect(first?.worker.address).toBe("http://a");
    first?.release();
    expect(registry.lease("m", new Set([again.registration]))?.worker.address).toBe("http://b");
    expect(registry.models).toEqual(["m", "n"]);
  });

  it("are limited", () => {
    const registry = registryAt({ ms: 0 });
    for (let index = 0; index < 1024; index += 1) registry.register(`http://w:${index}`, true, status([]));
    expect(() => registry.register("http://one-more", true, status([]))).toThrow("at most 1024 workers");
    expect(registry.register("http://w:0", true, status([])).address).toBe("http://w:0");
  });

  it("end when the process itself deregisters, not another one", () => {
    const registry = registryAt({ ms: 0 });
    registry.register("http://a", true, status(["m"], 0, { incarnation: "one" }));
    expect(registry.deregister("http://a", "two")).toBe(false);
    expect(registry.deregister("http://a", "one")).toBe(true);
    expect(registry.deregister("http://a", "one")).toBe(false);
    expect(registry.workers).toEqual([]);
  });
});

describe("a draining worker", () => {
  it("gets nothing new, and its models are not listed, while what runs goes on", () => {
    const registry = registryAt({ ms: 0 });
    registry.register("http://a", true, status(["m"], 0, { incarnation: "one" }));
    const lease = registry.lease("m");
    registry.heartBeat(beat("http://a", 1, { incarnation: "one", state: "draining" }));
    expect(registry.lease("m")).toBeNull();
    expect(registry.assign("m")).toBeNull();
    expect(registry.models).toEqual([]);
    expect(registry.get("http://a")?.numLeases).toBe(1);
    lease?.release();
    expect(registry.get("http://a")?.numLeases).toBe(0);
  });
});

describe("leases", () => {
  it("go to the worker that has the image, from a request or by its own report", () => {
    const registry = registryAt({ ms: 0 }, "image_affinity");
    registry.register("http://a", true, status(["m"]));
    registry.register("http://b", true, status(["m"], 0, { image_keys: ["q"] }));
    const pick = (key: string): string | undefined => {
      const lease = registry.lease("m", undefined, { imageKeys: [key], promptKey: null });
      lease?.release();
      return lease?.worker.address;
    };
    expect(["q", "p", "q", "p"].map(pick)).toEqual(["http://b", "http://a", "http://b", "http://a"]);
  });

  it("that are cancelled leave nothing behind", () => {
    const registry = registryAt({ ms: 0 }, "image_affinity");
    registry.register("http://a", true, status(["m"]));
    const lease = registry.lease("m", undefined, { imageKeys: ["p"], promptKey: null });
    lease?.cancel();
    lease?.release();
    expect(registry.holds("http://a", "p")).toBe(false);
    expect(registry.get("http://a")).toMatchObject({ queueLength: 0, numLeases: 0 });
  });

  it("are not what a client gets that asks for an address, which only makes the queue longer", () => {
    const registry = registryAt({ ms: 0 });
    registry.register("http://a", true, status(["m"]));
    expect(registry.assign("m")?.address).toBe("http://a");
    expect(registry.get("http://a")).toMatchObject({ queueLength: 1, numLeases: 0 });
    expect(registry.assign("other")).toBeNull();
  });
});
