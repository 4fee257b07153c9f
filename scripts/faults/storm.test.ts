import { expect, it } from "vitest";
import { startFleet } from "./fleet/proxied-fleet.ts";
import { storm, type Holding } from "./storm.ts";

/** The growth that is allowed: a hundred leaked streams with their sockets and texts take more, a cache that fills less. */
const MOST_GAINED_MIB = 8;

it("a hundred clients that leave in the middle leave no memory and no files behind", async () => {
  await using fleet = await startFleet(1, 5, []);
  const { endings, numByWords, holdings, empty } = await storm(fleet, 100, 5);
  expect(empty.faults).toEqual([]);
  expect(numByWords).toBeGreaterThan(20);
  expect((endings.get("left") ?? 0) + (endings.get("refused 429") ?? 0)).toBeGreaterThanOrEqual(numByWords);
  // The others ended before their client left, or found the queue full.
  const known = ["left", "whole stop", "whole length", "refused 429"];
  expect([...endings.keys()].filter((name) => !known.includes(name))).toEqual([]);
  for (const samples of holdings.values()) {
    // The first streams load code and fill pools.
    const [early, last] = [samples.at(4), samples.at(-1)];
    const inUse = ({ heapMiB, externalMiB }: Holding): number => heapMiB + externalMiB;
    if (early === undefined || last === undefined) throw new Error("the storm was not looked at");
    expect(inUse(last) - inUse(early)).toBeLessThan(MOST_GAINED_MIB);
    expect(last.numFiles - early.numFiles).toBeLessThan(16);
  }
});
