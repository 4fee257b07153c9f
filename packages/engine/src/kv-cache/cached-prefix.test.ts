import { array, assert, integer, property } from "fast-check";
import { expect, it } from "vitest";
import { commonPrefix, type CachedPrefix, type ImageSpan } from "./cached-prefix.ts";

const prefix = (
  ids: readonly number[],
  images: readonly ImageSpan[] = [],
  length = ids.length,
): CachedPrefix => ({
  ids,
  images,
  length,
});
const image = (key: string, start: number, tokens = 3): ImageSpan => ({ key, start, tokens });

it("counts leading ids that are the same, as far as both hold them", () => {
  expect(commonPrefix(prefix([1, 2, 3, 4]), prefix([1, 2, 9, 4]))).toBe(2);
  expect(commonPrefix(prefix([1, 2, 3, 4]), prefix([1, 2, 3]))).toBe(3);
  expect(commonPrefix(prefix([1, 2, 3, 4], [], 1), prefix([1, 2, 3]))).toBe(1);
  expect(commonPrefix(prefix([]), prefix([1]))).toBe(0);
});

it("ends where an image begins that is not the same in both", () => {
  const ids = [1, 0, 0, 0, 2];
  const same = prefix(ids, [image("a", 1)]);
  expect(commonPrefix(same, prefix(ids, [image("a", 1)]))).toBe(5);
  expect(commonPrefix(same, prefix(ids, [image("b", 1)]))).toBe(1);
  // The same ids without an image are text whose tokens happen to have the image's id.
  expect(commonPrefix(same, prefix(ids))).toBe(1);
  expect(commonPrefix(same, prefix(ids, [image("a", 2, 2)]))).toBe(1);
});

it("counts half an image, and takes no notice of images behind the first difference", () => {
  const ids = [1, 0, 0, 0, 2, 0, 0, 0];
  const whole = prefix(ids, [image("a", 1), image("b", 5)]);
  expect(commonPrefix(prefix(ids, whole.images, 3), whole)).toBe(3);
  expect(commonPrefix(whole, prefix([1, 0, 0, 0, 9], [image("a", 1)]))).toBe(4);
  expect(commonPrefix(whole, prefix([1, 0, 0, 0, 2, 0], [image("a", 1), image("c", 5)]))).toBe(5);
});

it("commonPrefix is symmetric, and equal to a slow comparison", () => {
  const someIds = array(integer({ min: 0, max: 1 }), { maxLength: 12 });
  assert(
    property(someIds, someIds, (a, b) => {
      const length = a.findIndex((id, i) => id !== b[i]);
      const expected = length === -1 ? Math.min(a.length, b.length) : length;
      expect(commonPrefix(prefix(a), prefix(b))).toBe(expected);
      expect(commonPrefix(prefix(b), prefix(a))).toBe(expected);
    }),
  );
});
