import { assert, boolean, integer, property, record } from "fast-check";
import { expect, test } from "vitest";

import { contains, cornerAt, isWhole, moved, nearestCorner, wholeOf } from "./crop-rect.ts";
import type { CropRect } from "./crop-rect.ts";

const SIZE = { width: 400, height: 300 };
const RECT: CropRect = { left: 100, top: 50, width: 200, height: 100 };

test("crop rectangle: one corner is moved, the opposite one stays", () => {
  expect(cornerAt(RECT, SIZE, { isRight: true, isBottom: true }, { x: 350.4, y: 250 })).toEqual({
    left: 100,
    top: 50,
    width: 250,
    height: 200,
  });
  expect(cornerAt(RECT, SIZE, { isRight: false, isBottom: true }, { x: 20, y: 120 })).toEqual({
    left: 20,
    top: 50,
    width: 280,
    height: 70,
  });
});

test("crop rectangle: a corner cannot be moved past the opposite one", () => {
  const { width, height } = cornerAt(RECT, SIZE, { isRight: true, isBottom: true }, { x: 0, y: 0 });
  expect([width, height]).toEqual([16, 16]);
});

test("crop rectangle: moving stops at the edges of the image", () => {
  expect(moved(RECT, SIZE, { x: -500, y: 500 })).toEqual({ ...RECT, left: 0, top: 200 });
  expect(moved(wholeOf(SIZE), SIZE, { x: 10, y: 10 })).toEqual(wholeOf(SIZE));
});

test("crop rectangle: the nearest corner is found inside and outside", () => {
  expect(nearestCorner(RECT, { x: 110, y: 145 })).toEqual({
    corner: { isRight: false, isBottom: true },
    distance: Math.hypot(10, 5),
  });
  expect(nearestCorner(RECT, { x: 399, y: 0 }).corner).toEqual({ isRight: true, isBottom: false });
  expect([contains(RECT, { x: 200, y: 100 }), contains(RECT, { x: 99, y: 100 })]).toEqual([true, false]);
});

test("crop rectangle: stays in the image and is never empty", () => {
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
      let rect = wholeOf(size);
      expect(isWhole(rect, size)).toBe(true);
      for (const { isMove, x, y, ...corner } of steps)
        rect = isMove ? moved(rect, size, { x, y }) : cornerAt(rect, size, corner, { x, y });
      expect(Object.values(rect).every(Number.isInteger)).toBe(true);
      expect(Math.min(rect.left, rect.top)).toBeGreaterThanOrEqual(0);
      expect(rect.left + rect.width).toBeLessThanOrEqual(size.width);
      expect(rect.top + rect.height).toBeLessThanOrEqual(size.height);
      expect(rect.width).toBeGreaterThanOrEqual(Math.min(16, size.width));
      expect(rect.height).toBeGreaterThanOrEqual(Math.min(16, size.height));
    }),
  );
});
