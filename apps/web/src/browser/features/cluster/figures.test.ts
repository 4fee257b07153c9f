import { expect, test } from "vitest";

import { duration, figure, means } from "./figures.ts";

test.each([
  [null, "–"],
  [0, "0"],
  [0.123, "0.12"],
  [3, "3"],
  [3.14, "3.1"],
  [42.4, "42"],
  [412.7, "413"],
])("figure(%j) is %j", (value, text) => expect(figure(value)).toBe(text));

test.each([
  [null, "–"],
  [3.4, "3 s"],
  [720, "12 min"],
  [10_800, "3 h"],
  [172_900, "2 d"],
])("duration(%j) is %j", (seconds, text) => expect(duration(seconds)).toBe(text));

test("means: groups end with the newest value; unknown values are ignored", () => {
  expect(means([9, 1, 2, null, 4], 2)).toEqual([9, 1.5, 4]);
  expect(means([null, null, 3], 2)).toEqual([null, 3]);
  expect(means([], 10)).toEqual([]);
});
