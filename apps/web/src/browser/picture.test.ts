import { expect, test } from "vitest";

import { fitted, pictureAmong } from "./picture.ts";

test.each([
  [1344, 1344, 1344, 1344],
  [640, 480, 640, 480],
  [4032, 3024, 1344, 1008],
  [3000, 4000, 1008, 1344],
  [65_500, 1, 1344, 1],
])("%i × %i is sent as %i × %i", (width, height, expectedWidth, expectedHeight) => {
  expect(fitted(width, height)).toEqual({ width: expectedWidth, height: expectedHeight });
});

test("the first picture among files", () => {
  const text = new File(["a"], "a.txt", { type: "text/plain" });
  const image = new File(["b"], "b.png", { type: "image/png" });
  expect(pictureAmong([text, image])).toBe(image);
  expect(pictureAmong([text])).toBeNull();
  expect(pictureAmong(undefined)).toBeNull();
});
