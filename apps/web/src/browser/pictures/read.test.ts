import { expect, test } from "vitest";

import { fitted, picturesAmong } from "./read.ts";

test.each([
  [1344, 1344, 1344, 1344],
  [640, 480, 640, 480],
  [4032, 3024, 1344, 1008],
  [3000, 4000, 1008, 1344],
  [65_500, 1, 1344, 1],
])("%i × %i is sent as %i × %i", (width, height, expectedWidth, expectedHeight) => {
  expect(fitted(width, height)).toEqual({ width: expectedWidth, height: expectedHeight });
});

test("the pictures among files", () => {
  const text = new File(["a"], "a.txt", { type: "text/plain" });
  const images = ["b.png", "c.png"].map((name) => new File(["b"], name, { type: "image/png" }));
  expect(picturesAmong([text, ...images])).toEqual(images);
  expect(picturesAmong([text])).toEqual([]);
});
