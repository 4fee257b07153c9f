import * as fc from "fast-check";
import { expect, it } from "vitest";
import { CachedKeys } from "./cached-keys.ts";

const image = (...imageKeys: readonly string[]) => ({ imageKeys, promptKey: null });

it("cached keys are those that were sent and those that the worker reports", () => {
  const held = new CachedKeys();
  held.send({ imageKeys: ["a", "b"], promptKey: "t" });
  held.report(["c"]);
  expect(["a", "b", "c", "t", "x"].filter((key) => held.holds(key))).toEqual(["a", "b", "c", "t"]);
});

it("cached keys lose what the worker reported and reports no more, but not what it never reported", () => {
  const held = new CachedKeys();
  held.send(image("a", "b", "unspoken"));
  held.report(["a", "b", "c"]);
  held.send(image("b"));
  held.report(["other"]);
  expect(["a", "b", "c", "unspoken", "other"].filter((key) => held.holds(key))).toEqual([
    "b",
    "unspoken",
    "other",
  ]);
  held.report(["b"]);
  held.report([]);
  expect(["b", "unspoken", "other"].filter((key) => held.holds(key))).toEqual(["unspoken"]);
});

it("cached keys take back what was never sent, and only that", () => {
  const held = new CachedKeys();
  held.send(image("a"));
  const undo = held.send({ imageKeys: ["a", "b"], promptKey: "t" });
  undo();
  undo();
  expect(["a", "b", "t"].filter((key) => held.holds(key))).toEqual(["a"]);
  const overtaken = held.send(image("c"));
  held.send(image("c"));
  overtaken();
  expect(held.holds("c")).toBe(true);
});

it("cached keys lose the oldest of too many", () => {
  const held = new CachedKeys();
  for (let index = 0; index < 300; index += 1)
    held.send({ imageKeys: [`p${index}`], promptKey: `t${index}` });
  expect(held.size).toBe(512);
  expect(["p43", "p44", "t43", "t44"].filter((key) => held.holds(key))).toEqual(["p44", "t44"]);
});

it("cached keys stay within their limit whatever happens", () => {
  const step = fc.oneof(
    fc.record({
      imageKeys: fc.array(fc.nat(2000).map(String), { maxLength: 8 }),
      promptKey: fc.nat(2000).map(String),
    }),
    fc.constant(null),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 900, size: "max" }), (steps) => {
      const held = new CachedKeys();
      for (const keys of steps) {
        if (keys === null) held.report(["r"]);
        else held.send(keys);
      }
      expect(held.size).toBeLessThanOrEqual(512 + 1);
    }),
    { numRuns: 20 },
  );
});
