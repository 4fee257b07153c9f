import { describe, expect, it } from "vitest";
import { DISPATCH_METHODS } from "../../apps/controller/src/registry/dispatch.ts";
import { simulate, type FleetOptions, type SimulationResult } from "./dispatch-simulation.ts";
import { drawTrace, formatTrace, parseTrace } from "./dispatch-trace.ts";

const FLEET: FleetOptions = {
  workers: 4,
  slots: 4,
  maxWaiting: 16,
  cachedImages: 32,
  promptMs: 100,
  imageMs: 1500,
  cachedMs: 50,
  tokenMs: 40,
  heartbeatMs: 15_000,
};
const SEED = 1;
const trace = drawTrace({ seed: SEED, conversations: 1000, rate: 40 / 60 });

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const hitRate = ({ hits, images }: SimulationResult): number => hits / images;

describe("a simulated multi-turn trace", () => {
  it("serves or refuses every request, by every method, the same every time", () => {
    for (const method of DISPATCH_METHODS) {
      const result = simulate(method, trace, FLEET, SEED);
      expect(result.waitMs.length + result.refused).toBe(trace.length);
      expect(Math.min(...result.waitMs)).toBeGreaterThanOrEqual(0);
      expect(simulate(method, trace, FLEET, SEED)).toEqual(result);
    }
  });

  it("finds more images and gives first tokens sooner by image_affinity than by shortest_queue", () => {
    const shortest = simulate("shortest_queue", trace, FLEET, SEED);
    const affinity = simulate("image_affinity", trace, FLEET, SEED);
    expect(hitRate(affinity)).toBeGreaterThan(hitRate(shortest) + 0.15);
    expect(mean(affinity.firstTokenMs)).toBeLessThan(0.75 * mean(shortest.firstTokenMs));
    expect(affinity.refused).toBeLessThanOrEqual(shortest.refused);
  });

  it("loads no worker with everything when all requests are about one image", () => {
    const viral = trace.map((request) => ({ ...request, images: ["one"] }));
    const affinity = simulate("image_affinity", viral, FLEET, SEED);
    expect(hitRate(affinity)).toBeGreaterThan(0.98);
    expect(affinity.refused).toBe(0);
  });

  it("with one worker is the same by every method", () => {
    const [first, ...others] = DISPATCH_METHODS.map((method) => {
      return { ...simulate(method, trace.slice(0, 500), { ...FLEET, workers: 1 }, SEED), method: "any" };
    });
    for (const other of others) expect(other).toEqual(first);
  });
});

describe("a simulation that was computed by hand", () => {
  const request = (at_ms: number) => ({ at_ms, conversation: "c", images: ["p"], new_tokens: 10 });

  it("encodes an image once, and measures how long requests wait", () => {
    const fleet = { ...FLEET, workers: 1, slots: 1, maxWaiting: 1 };
    // The first runs for 100 + 1500 + 10 × 40 ms, the second for 100 + 50 + 10 × 40; the third finds no room.
    expect(
      simulate("shortest_queue", [request(0), request(500), request(600), request(2600)], fleet, SEED),
    ).toEqual({
      method: "shortest_queue",
      images: 3,
      hits: 2,
      waitMs: [0, 1500, 0],
      firstTokenMs: [1600, 1650, 150],
      refused: 1,
    });
  });

  it("finds no image again without a cache", () => {
    const fleet = { ...FLEET, cachedImages: 0 };
    expect(simulate("image_affinity", [request(0), request(60_000)], fleet, SEED).hits).toBe(0);
  });
});

describe("a trace", () => {
  it("is the same after it was written and read", () => {
    expect(parseTrace(`\n${formatTrace(trace.toReversed())}`)).toEqual(
      trace.toReversed().toSorted((one, other) => one.at_ms - other.at_ms),
    );
    expect(drawTrace({ seed: SEED, conversations: 1000, rate: 40 / 60 })).toEqual(trace);
    expect(drawTrace({ seed: 2, conversations: 1000, rate: 40 / 60 })).not.toEqual(trace);
  });

  it("asks several questions on one image in each conversation", () => {
    const conversations = Map.groupBy(trace, ({ conversation }) => conversation);
    expect(conversations.size).toBe(1000);
    for (const requests of conversations.values()) {
      expect(new Set(requests.map(({ images }) => images.join())).size).toBe(1);
    }
    expect(trace.length / conversations.size).toBeGreaterThan(4);
  });
});
