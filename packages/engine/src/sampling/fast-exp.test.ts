import { assert, double, property } from "fast-check";
import { expect, it } from "vitest";
import { exponential } from "./fast-exp.ts";

it("exponential equals Math.exp up to the last digits", () => {
  assert(
    property(double({ min: -700, max: 0, noNaN: true }), (x) => {
      expect(Math.abs(exponential(x) / Math.exp(x) - 1)).toBeLessThan(2e-12);
    }),
    { numRuns: 2000 },
  );
});

it("exponential is exact at 0 and -Infinity", () => {
  expect([0, -0].map(exponential)).toEqual([1, 1]);
  expect([-746, -1e300, -Infinity].map(exponential)).toEqual([0, 0, 0]);
  expect(exponential(Number.NaN)).toBeNaN();
});
