import { array, assert, integer, property } from "fast-check";
import { expect, it } from "vitest";
import { commonPrefix, type Held, type PictureSpan } from "./cached-prefix.ts";

const held = (ids: readonly number[], pictures: readonly PictureSpan[] = [], length = ids.length): Held => ({
  ids,
  pictures,
  length,
});
const picture = (key: string, start: number, tokens = 3): PictureSpan => ({ key, start, tokens });

it("counts leading ids that are the same, as far as both hold them", () => {
  expect(commonPrefix(held([1, 2, 3, 4]), held([1, 2, 9, 4]))).toBe(2);
  expect(commonPrefix(held([1, 2, 3, 4]), held([1, 2, 3]))).toBe(3);
  expect(commonPrefix(held([1, 2, 3, 4], [], 1), held([1, 2, 3]))).toBe(1);
  expect(commonPrefix(held([]), held([1]))).toBe(0);
});

it("ends where a picture begins that is not the same in both", () => {
  const ids = [1, 0, 0, 0, 2];
  const same = held(ids, [picture("a", 1)]);
  expect(commonPrefix(same, held(ids, [picture("a", 1)]))).toBe(5);
  expect(commonPrefix(same, held(ids, [picture("b", 1)]))).toBe(1);
  // The same ids without a picture are words that happen to have the picture's id.
  expect(commonPrefix(same, held(ids))).toBe(1);
  expect(commonPrefix(same, held(ids, [picture("a", 2, 2)]))).toBe(1);
});

it("counts half a picture, and takes no notice of pictures behind the first difference", () => {
  const ids = [1, 0, 0, 0, 2, 0, 0, 0];
  const whole = held(ids, [picture("a", 1), picture("b", 5)]);
  expect(commonPrefix(held(ids, whole.pictures, 3), whole)).toBe(3);
  expect(commonPrefix(whole, held([1, 0, 0, 0, 9], [picture("a", 1)]))).toBe(4);
  expect(commonPrefix(whole, held([1, 0, 0, 0, 2, 0], [picture("a", 1), picture("c", 5)]))).toBe(5);
});

it("is symmetric, and what a slow comparison says", () => {
  const someIds = array(integer({ min: 0, max: 1 }), { maxLength: 12 });
  assert(
    property(someIds, someIds, (a, b) => {
      const length = a.findIndex((id, i) => id !== b[i]);
      const expected = length === -1 ? Math.min(a.length, b.length) : length;
      expect(commonPrefix(held(a), held(b))).toBe(expected);
      expect(commonPrefix(held(b), held(a))).toBe(expected);
    }),
  );
});
