import { expect, test } from "vitest";

import { imagesAmong } from "./read-image.ts";

test("imagesAmong: the image files of a drop", () => {
  const text = new File(["a"], "a.txt", { type: "text/plain" });
  const images = ["b.png", "c.png"].map((name) => new File(["b"], name, { type: "image/png" }));
  expect(imagesAmong([text, ...images])).toEqual(images);
  expect(imagesAmong([text])).toEqual([]);
});
