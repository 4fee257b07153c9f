import { expect, it } from "vitest";
import { Registry } from "./registry.ts";

function registryAt(clock: { ms: number }): Registry {
  return new Registry({
    dispatchMethod: "shortest_queue",
    expiryMs: 30_000,
    now: () => clock.ms,
    random: () => 0,
  });
}

const status = (models: readonly string[], queueLength = 0) => ({
  model_names: models,
  speed: 1,
  queue_length: queueLength,
});

it("expires silent workers after the limit and not at it", () => {
  const clock = { ms: 0 };
  const registry = registryAt(clock);
  registry.register("http://a", true, status(["m"]));
  registry.register("http://b", false, status(["m"]));
  clock.ms = 20_000;
  expect(registry.heartBeat("http://a", 4)).toBe(true);
  clock.ms = 50_000;
  expect(registry.expire()).toEqual([]);
  clock.ms = 50_001;
  expect(registry.expire().map(({ address }) => address)).toEqual(["http://a"]);
  expect(registry.workers.map(({ address }) => address)).toEqual(["http://b"]);
  expect(registry.heartBeat("http://a", 0)).toBe(false);
});

it("holds a failure of an earlier registration against no later one", () => {
  const registry = registryAt({ ms: 0 });
  const earlier = registry.register("http://a", true, status(["m"]));
  const lease = registry.lease("m");
  registry.register("http://a", true, status(["m"], 7));
  lease?.release();
  expect(registry.remove(earlier)).toBe(false);
  expect(registry.get("http://a")?.queueLength).toBe(7);
});

it("lets a heartbeat overwrite what it counted itself, and never counts below nothing", () => {
  const registry = registryAt({ ms: 0 });
  registry.register("http://a", true, status(["m"]));
  const leases = [registry.lease("m"), registry.lease("m")];
  expect(registry.get("http://a")?.queueLength).toBe(2);
  registry.heartBeat("http://a", 1);
  for (const lease of leases) lease?.release();
  expect(registry.get("http://a")?.queueLength).toBe(0);
});

it("keeps a worker's rank when it registers again, and skips those that were tried", () => {
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

it("is limited", () => {
  const registry = registryAt({ ms: 0 });
  for (let index = 0; index < 1024; index += 1) registry.register(`http://w:${index}`, true, status([]));
  expect(() => registry.register("http://one-more", true, status([]))).toThrow("at most 1024 workers");
  expect(registry.register("http://w:0", true, status([])).address).toBe("http://w:0");
});
