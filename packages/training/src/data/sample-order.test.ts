import { expect, test } from "vitest";
import { inOrder, shuffled } from "./sample-order.ts";

test.each([1, 2, 3, 7, 64, 65, 1000])("shuffling %i samples takes each once in every pass", (length) => {
  const order = shuffled(length, 3);
  for (const epoch of [0, 1, 5]) {
    const pass = Array.from({ length }, (_, i) => order(epoch * length + i));
    expect(pass.every((sample) => sample.epoch === epoch)).toBe(true);
    expect(pass.map(({ index }) => index).sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, i) => i));
  }
});

test("passes and seeds are shuffled differently, and far from the order of the numbers", () => {
  const length = 1000;
  const pass = (seed: number, epoch: number): number[] =>
    Array.from({ length }, (_, i) => shuffled(length, seed)(epoch * length + i).index);
  const orders = [pass(1, 0), pass(1, 1), pass(2, 0), Array.from({ length }, (_, i) => i)];
  for (const [i, a] of orders.entries()) {
    for (const b of orders.slice(i + 1)) {
      // Two random permutations agree at one place on average.
      expect(a.filter((index, place) => index === b[place]).length).toBeLessThan(10);
    }
  }
});

test("without shuffling the samples come in the order of their numbers", () => {
  expect([0, 2, 3, 7].map(inOrder(3))).toEqual([
    { index: 0, epoch: 0 },
    { index: 2, epoch: 0 },
    { index: 0, epoch: 1 },
    { index: 1, epoch: 2 },
  ]);
});

test("a dataset without samples is refused", () => {
  expect(() => inOrder(0)).toThrow(/at least one sample, but its length is 0/);
  expect(() => shuffled(0, 1)).toThrow(RangeError);
});
