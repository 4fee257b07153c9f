import { expect, test } from "vitest";

import { fitted } from "./send-size.ts";

test.each([
  [1344, 1344, 1344, 1344],
  [640, 480, 640, 480],
  [4032, 3024, 1344, 1008],
  [3000, 4000, 1008, 1344],
  [65_500, 1, 1344, 1],
])("%i × %i is sent as %i × %i", (width, height, expectedWidth, expectedHeight) => {
  expect(fitted(width, height)).toEqual({ width: expectedWidth, height: expectedHeight });
});

test("sent size: as it is, or with another longest side", () => {
  expect(fitted(4032, 3024, null)).toEqual({ width: 4032, height: 3024 });
  expect(fitted(4032, 3024, 672)).toEqual({ width: 672, height: 504 });
});
