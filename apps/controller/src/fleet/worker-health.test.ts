import { expect, it } from "vitest";
import type { Worker } from "../registry/registry.ts";
import { WorkerHealth } from "./worker-health.ts";

function worker(address: string, incarnation: string | null = null): Worker {
  return {
    address,
    incarnation,
    models: [],
    speed: 1,
    queueLength: 0,
    numLeases: 0,
    checkHeartBeat: true,
    lastHeartBeatMs: 0,
    registration: 1,
    state: "ready",
    workerId: null,
    load: null,
    version: null,
    startedMs: null,
    tokensPerS: null,
    capabilities: null,
  };
}

it("a worker that keeps failing gets no requests, beyond registrations; the next process at its address does", () => {
  let nowMs = 0;
  const health = new WorkerHealth(() => nowMs);
  const failing = worker("http://a:1", "one");
  for (let count = 0; count < 5; count += 1) {
    expect(health.admit(failing)).toBe(true);
    health.failed(failing);
  }
  expect(health.admit({ ...failing, registration: 9 })).toBe(false);
  expect(health.admit(worker("http://a:1", "two"))).toBe(true);
  expect(health.admit(worker("http://b:1", "one"))).toBe(true);
  nowMs += 30_000;
  expect([health.admit(failing), health.admit(failing)]).toEqual([true, false]);
  health.undecided(failing);
  for (const _ of [1, 2]) {
    expect(health.admit(failing)).toBe(true);
    health.succeeded(failing);
  }
  expect([health.admit(failing), health.admit(failing)]).toEqual([true, true]);
});
