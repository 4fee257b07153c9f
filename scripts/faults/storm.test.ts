import { expect, it } from "vitest";
import { startFleet } from "./fleet.ts";
import { storm } from "./storm.ts";

it("a hundred clients that leave in the middle leave nothing behind", { timeout: 180_000 }, async () => {
  await using fleet = await startFleet(1, 5, []);
  const { endings, footprints, empty } = await storm(fleet, 100, 5);
  expect(empty.faults).toEqual([]);
  expect(endings.get("left")).toBeGreaterThan(20);
  // The others were faster than their client's impatience, or found the queue full.
  const known = ["left", "whole stop", "whole length", "refused 429"];
  expect([...endings.keys()].filter((name) => !known.includes(name))).toEqual([]);
  for (const samples of footprints.values()) {
    const [first, last] = [samples.at(2), samples.at(-1)];
    // Far more than the noise of a collector, far less than a hundred forgotten streams with their buffers would hold.
    expect((last?.rssMiB ?? 0) - (first?.rssMiB ?? 0)).toBeLessThan(100);
  }
});
