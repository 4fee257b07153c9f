import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  choose,
  DISPATCH_METHODS,
  drawLottery,
  findBestMatch,
  findShortestQueue,
  type Candidate,
} from "./dispatch.ts";

interface Named extends Candidate {
  readonly name: string;
}

const worker = (name: string, speed: number, queueLength: number, more: Partial<Candidate> = {}): Named => ({
  name,
  speed,
  queueLength,
  isQueueKnown: true,
  numLeases: 0,
  capacity: null,
  holds: () => false,
  ...more,
});

const holding = (...keys: readonly string[]): Pick<Candidate, "holds"> => ({
  holds: (key) => keys.includes(key),
});

describe("shortest_queue", () => {
  it("takes the least queue per speed, the first of equals", () => {
    expect(findShortestQueue([worker("a", 1, 2), worker("b", 1, 1)])?.name).toBe("b");
    expect(findShortestQueue([worker("a", 1, 2), worker("b", 1, 2)])?.name).toBe("a");
    expect(findShortestQueue([worker("a", 1, 2), worker("b", 4, 6)])?.name).toBe("b");
    expect(findShortestQueue([worker("still", 0, 0), worker("b", 1, 9)])?.name).toBe("b");
    expect(findShortestQueue([])).toBeNull();
  });

  it("compares by our own counts where it does not know one of the queues", () => {
    const silent = worker("silent", 1, 0, { isQueueKnown: false, numLeases: 3 });
    expect(findShortestQueue([silent, worker("b", 1, 9, { numLeases: 1 })])?.name).toBe("b");
    expect(findShortestQueue([silent, worker("b", 1, 9, { numLeases: 3 })])?.name).toBe("silent");
  });
});

describe("lottery", () => {
  it("draws in proportion to speed", () => {
    const workers = [worker("a", 1, 0), worker("b", 3, 0), worker("c", 0, 0)];
    const draws = [0, 0.24, 0.25, 0.99, 1 - 2 ** -53].map((random) => drawLottery(workers, random)?.name);
    expect(draws).toEqual(["a", "a", "b", "b", "b"]);
  });

  it("has no winner where the speeds sum to nothing", () => {
    expect(drawLottery([], 0.5)).toBeNull();
    expect(drawLottery([worker("a", 0, 0), worker("b", 0.00009, 0)], 0.5)).toBeNull();
  });
});

describe("power_of_two", () => {
  it("draws two, and takes the one with less load", () => {
    const workers = [worker("idle", 1, 0), worker("some", 1, 2), worker("many", 1, 9)];
    const draws = (first: number, second: number) => {
      const numbers = [first, second];
      return choose("power_of_two", workers, () => numbers.shift() ?? 0)?.name;
    };
    expect([draws(0.4, 0.9), draws(0.9, 0.9), draws(0, 0), draws(0.4, 0)]).toEqual([
      "some",
      "some",
      "idle",
      "idle",
    ]);
  });

  it("does not need the queues of workers that it did not draw", () => {
    const workers = [
      worker("a", 1, 5, { numLeases: 0 }),
      worker("b", 1, 1, { numLeases: 4 }),
      worker("silent", 1, 0, { isQueueKnown: false }),
    ];
    expect(choose("power_of_two", workers, () => 0)?.name).toBe("b");
  });
});

describe("image_affinity", () => {
  const keys = { imageKeys: ["p"], promptKey: "t" };

  it("prefers the worker that holds more of the request, then the one with less load", () => {
    const image = worker("image", 1, 1, holding("p"));
    const both = worker("both", 1, 1, holding("p", "t"));
    expect(findBestMatch([worker("a", 1, 1), image, both], keys)?.name).toBe("both");
    expect(findBestMatch([worker("a", 1, 1), worker("b", 1, 0)], keys)?.name).toBe("b");
    expect(
      findBestMatch([worker("a", 1, 1), worker("b", 1, 1)], { imageKeys: [], promptKey: null })?.name,
    ).toBe("a");
  });

  it("gives a match up for a difference in load that is larger than the mean", () => {
    const match = (queueLength: number) => worker("match", 1, queueLength, holding("p", "t"));
    expect(findBestMatch([worker("idle", 1, 0), match(1)], keys)?.name).toBe("match");
    expect(findBestMatch([worker("idle", 1, 0), match(2)], keys)?.name).toBe("idle");
    expect(findBestMatch([worker("busy", 1, 10), match(19)], keys)?.name).toBe("match");
    expect(findBestMatch([worker("busy", 1, 10), match(40)], keys)?.name).toBe("busy");
  });

  it("passes a full worker over while another has room", () => {
    const full = worker("full", 1, 8, { ...holding("p", "t"), capacity: 8 });
    expect(findBestMatch([full, worker("b", 1, 8, { capacity: 9 })], keys)?.name).toBe("b");
    expect(findBestMatch([full, worker("b", 1, 8, { capacity: 8 })], keys)?.name).toBe("full");
  });
});

const candidates = fc.array(
  fc.record({
    name: fc.string(),
    speed: fc.double({ min: 0.01, max: 100, noNaN: true }),
    queueLength: fc.nat(50),
    isQueueKnown: fc.boolean(),
    numLeases: fc.nat(50),
    capacity: fc.option(fc.nat(50)),
    holds: fc
      .uniqueArray(fc.constantFrom<string>("p", "q", "t"))
      .map((held) => (key: string) => held.includes(key)),
  }),
  { maxLength: 12 },
);
const requests = fc.record({
  imageKeys: fc.uniqueArray(fc.constantFrom("p", "q")),
  promptKey: fc.constantFrom("t", null),
});
const methods = fc.constantFrom(...DISPATCH_METHODS);
const draws = fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));
/** The same numbers each time that it is called for. */
const replaying = (numbers: readonly number[]) => {
  let at = 0;
  return () => numbers[at++ % numbers.length] ?? 0;
};

describe("every method", () => {
  it("chooses one of the candidates, none only when there is none, and the same for the same draws", () => {
    fc.assert(
      fc.property(methods, candidates, requests, draws, (method, candidates, request, draws) => {
        const numbers = [...draws.take(4)];
        const chosen = choose(method, candidates, replaying(numbers), request);
        if (candidates.length === 0) expect(chosen).toBeNull();
        else expect(candidates).toContain(chosen);
        expect(choose(method, candidates, replaying(numbers), request)).toBe(chosen);
      }),
    );
  });

  it("goes by our own counts alone as soon as one queue is unknown", () => {
    const others = fc.constantFrom("shortest_queue", "power_of_two", "image_affinity");
    fc.assert(
      fc.property(others, candidates, requests, draws, (method, candidates, request, draws) => {
        const numbers = [...draws.take(4)];
        const unknown = candidates.map((candidate) => ({
          ...candidate,
          isQueueKnown: false,
          capacity: null,
        }));
        const counted = unknown.map((candidate) => ({ ...candidate, queueLength: 0 }));
        const known = counted.map((candidate) => ({
          ...candidate,
          queueLength: candidate.numLeases,
          isQueueKnown: true,
        }));
        const indexOf = (list: typeof unknown) => {
          const chosen = choose(method, list, replaying(numbers), request);
          return chosen === null ? -1 : list.indexOf(chosen);
        };
        expect(indexOf(counted)).toBe(indexOf(known));
      }),
    );
  });

  it("at equal loads, the worker that holds everything wins unless it is full", () => {
    const load = { queueLength: 3, numLeases: 2, isQueueKnown: true, speed: 1, capacity: null };
    fc.assert(
      fc.property(fc.nat(9), fc.nat(9), fc.boolean(), (before, after, isFull) => {
        const other: Named = { name: "other", ...load, ...holding("q") };
        const match: Named = { name: "match", ...load, ...holding("p", "t"), capacity: isFull ? 3 : 4 };
        const all = [
          ...Array.from({ length: before }, () => other),
          match,
          ...Array.from({ length: after }, () => other),
        ];
        const isAlone = before + after === 0;
        const chosen = findBestMatch(all, { imageKeys: ["p"], promptKey: "t" });
        expect(chosen?.name).toBe(isFull && !isAlone ? "other" : "match");
      }),
    );
  });
});
