import { expect, test } from "vitest";

import { colourOf, sharesOf } from "./colour-scale.ts";

test("colour scale: lightness rises all the way", () => {
  const lightness = Array.from({ length: 50 }, (_, at) => {
    const [red, green, blue] = colourOf(at / 49);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  });
  for (const [at, value] of lightness.entries()) expect(value).toBeGreaterThanOrEqual(lightness[at - 1] ?? 0);
  expect(colourOf(-1)).toEqual(colourOf(0));
  expect(colourOf(2)).toEqual(colourOf(1));
});

test("colour scale: shares of the greatest value; negative values count as 0", () => {
  expect(
    sharesOf([
      [2, null],
      [-1, 1],
    ]),
  ).toEqual([
    [1, 0],
    [0, 0.5],
  ]);
  expect(sharesOf([[-1, null]])).toEqual([[0, 0]]);
});
