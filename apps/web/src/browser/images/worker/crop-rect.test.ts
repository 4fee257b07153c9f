import { assert, boolean, integer, property, record } from "fast-check";
import { expect, test } from "vitest";

import { contains, cornerAt, isWhole, moved, nearestCorner, wholeOf } from "./crop-rect.ts";
import type { CropRect } from "./crop-rect.ts";

const SIZE = { width: 400, height: 300 };
const PART: CropRect = { left: 100, top: 50, width: 200, height: 100 };

test("a corner is put somewhere, the opposite one stays", () => {
  expect(cornerAt(PART, SIZE, { isRight: true, isBottom: true }, { x: 350.4, y: 250 })).toEqual({
    left: 100,
    top: 50,
    width: 250,
    height: 200,
  });
  expect(cornerAt(PART, SIZE, { isRight: false, isBottom: true }, { x: 20, y: 120 })).toEqual({
    left: 20,
    top: 50,
    width: 280,
    height: 70,
  });
});

test("it cannot be drawn through the opposite corner", () => {
  const { width, height } = cornerAt(PART, SIZE, { isRight: true, isBottom: true }, { x: 0, y: 0 });
  expect([width, height]).toEqual([16, 16]);
});

test("moving stops at the edges", () => {
  expect(moved(PART, SIZE, { x: -500, y: 500 })).toEqual({ ...PART, left: 0, top: 200 });
  expect(moved(wholeOf(SIZE), SIZE, { x: 10, y: 10 })).toEqual(wholeOf(SIZE));
});

test("the nearest corner is found, in it and beside it", () => {
  expect(nearestCorner(PART, { x: 110, y: 145 })).toEqual({
    corner: { isRight: false, isBottom: true },
    distance: Math.hypot(10, 5),
  });
  expect(nearestCorner(PART, { x: 399, y: 0 }).corner).toEqual({ isRight: true, isBottom: false });
  expect([contains(PART, { x: 200, y: 100 }), contains(PART, { x: 99, y: 100 })]).toEqual([true, false]);
});

test("whatever is done, the part lies in the picture and is not empty", () => {
  const coordinate = integer({ min: -1000, max: 1000 });
  const step = record({
    x: coordinate,
    y: coordinate,
    isRight: boolean(),
    isBottom: boolean(),
    isMove: boolean(),
  });
  const edge = integer({ min: 1, max: 500 });
  assert(
    property(record({ width: edge, height: edge }), step, step, (size, ...steps) => {
      let part = wholeOf(size);
      expect(isWhole(part, size)).toBe(true);
      for (const { isMove, x, y, ...corner } of steps)
        part = isMove ? moved(part, size, { x, y }) : cornerAt(part, size, corner, { x, y });
      expect(Object.values(part).every(Number.isInteger)).toBe(true);
      expect(Math.min(part.left, part.top)).toBeGreaterThanOrEqual(0);
      expect(part.left + part.width).toBeLessThanOrEqual(size.width);
      expect(part.top + part.height).toBeLessThanOrEqual(size.height);
      expect(part.width).toBeGreaterThanOrEqual(Math.min(16, size.width));
      expect(part.height).toBeGreaterThanOrEqual(Math.min(16, size.height));
    }),
  );
});
