import { expect, test } from "vitest";

import { Random } from "./keyed-random.ts";

const draw = (random: Random, n: number): number[] => Array.from({ length: n }, () => random.next());

test("equal seeds and keys give equal streams, others do not", () => {
  expect(draw(Random.of(7, "scene", 3), 5)).toEqual(draw(Random.of(7, "scene", 3), 5));
  const firsts = [
    Random.of(7, "scene", 3),
    Random.of(8, "scene", 3),
    Random.of(7, "scene", 4),
    Random.of(7, "dialogue", 3),
    Random.of(7, 3, "scene"),
  ].map((random) => random.next());
  expect(new Set(firsts).size).toBe(firsts.length);
});

test("the stream of a seed never changes, because shipped results are named by their seeds", () => {
  expect(draw(new Random(1), 3)).toEqual([0.9779844905715436, 0.33556611742824316, 0.44811825384385884]);
});

test("numbers are spread evenly and do not follow each other", () => {
  const numbers = draw(Random.of(5, "spread"), 100_000);
  const tenths = Array.from({ length: 10 }, () => 0);
  for (const number of numbers) tenths[Math.floor(number * 10)]! += 1;
  for (const count of tenths) expect(Math.abs(count - 10_000)).toBeLessThan(450);
  const product = numbers.slice(1).reduce((sum, number, i) => sum + (number - 0.5) * (numbers[i]! - 0.5), 0);
  expect(Math.abs(product / numbers.length)).toBeLessThan(0.0015);
});

test("neighboring seeds give unrelated first numbers", () => {
  const firsts = Array.from({ length: 20_000 }, (_, seed) => Random.of(seed, "scene").next());
  const mean = firsts.reduce((sum, number) => sum + number, 0) / firsts.length;
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.01);
  const product = firsts.slice(1).reduce((sum, number, i) => sum + (number - 0.5) * (firsts[i]! - 0.5), 0);
  expect(Math.abs(product / firsts.length)).toBeLessThan(0.003);
});

test("int, between, pick, weighted and shuffle stay within what they were given", () => {
  const random = new Random(3);
  const list = ["a", "b", "c"];
  for (let i = 0; i < 1000; i++) {
    expect(random.int(4)).toBeOneOf([0, 1, 2, 3]);
    expect(list).toContain(random.pick(list));
    expect(random.weighted([0, 2, 0, 1])).toBeOneOf([1, 3]);
    expect(random.between(-2, -1)).toBeLessThan(-1);
  }
  expect(random.shuffle(list).toSorted()).toEqual(list);
  expect(() => random.pick([])).toThrow(RangeError);
});
