import { expect, test } from "vitest";

import { cellOf, isClearlyPlaced, sceneOf } from "./scene.ts";
import type { Scene } from "./scene.ts";
import { COLORS, PLACES, SHAPES, isHeldOut } from "./vocabulary.ts";
import type { Split } from "./vocabulary.ts";

const scenes = (split: Split, count: number): Scene[] =>
  Array.from({ length: count }, (_, i) => sceneOf(split, i));
const hasHeldOut = (scene: Scene): boolean =>
  scene.objects.some((object) => object.kind === "shape" && isHeldOut(object.color, object.shape));

const characters = (scene: Scene): number => scene.objects.filter(({ kind }) => kind === "character").length;

test("a scene is a function of its split and index", () => {
  expect(sceneOf("train", 42)).toEqual(sceneOf("train", 42));
  expect(sceneOf("train", 42)).not.toEqual(sceneOf("train", 43));
  expect(() => sceneOf("train", -1)).toThrow(RangeError);
  expect(() => sceneOf("train", 2 ** 30)).toThrow(RangeError);
});

test("six color-shape pairs are held out, one for each shape", () => {
  const pairs = COLORS.flatMap((color) =>
    SHAPES.filter((shape) => isHeldOut(color, shape)).map((s) => `${color} ${s}`),
  );
  expect(pairs).toEqual([
    "red triangle",
    "green star",
    "blue diamond",
    "yellow cross",
    "purple circle",
    "orange square",
  ]);
});

test("held-out pairs are in every held-out scene and in no other", () => {
  expect(scenes("train", 20_000).some(hasHeldOut)).toBe(false);
  expect(scenes("test", 5_000).some(hasHeldOut)).toBe(false);
  expect(scenes("held-out", 2_000).every(hasHeldOut)).toBe(true);
});

test("no scene of a split is a scene of another", () => {
  const seen = new Set(scenes("train", 10_000).map((scene) => JSON.stringify(scene)));
  expect(seen.size).toBe(10_000);
  expect(scenes("test", 5_000).some((scene) => seen.has(JSON.stringify(scene)))).toBe(false);
});

test("objects are whole in the picture and clear of each other", () => {
  for (const { objects } of scenes("train", 1_000)) {
    objects.forEach((a, i) => {
      for (const value of [a.x, a.y]) expect(Math.abs(value - 48) + a.radius * 1.1).toBeLessThan(48);
      const isSmall = a.radius >= 6.5 && a.radius < 8.5;
      expect(a.size).toBe(isSmall ? "small" : "large");
      for (const b of objects.slice(i + 1)) {
        expect(Math.hypot(a.x - b.x, a.y - b.y)).toBeGreaterThan(a.radius + b.radius + 3);
      }
    });
  }
});

test("what scenes hold is spread as intended", () => {
  const all = scenes("train", 10_000);
  const share = (is: (scene: Scene) => boolean): number => all.filter(is).length / all.length;
  expect(share((scene) => scene.objects.length === 0)).toBeCloseTo(0.03, 1);
  for (const n of [1, 2, 3, 4, 5]) expect(share(({ objects }) => objects.length === n)).toBeCloseTo(0.194, 1);
  expect(share((scene) => characters(scene) === 1)).toBeCloseTo(0.35, 1);
  const objects = all.flatMap((scene) => scene.objects);
  expect(objects.filter(isClearlyPlaced).length / objects.length).toBeGreaterThan(0.75);
  for (let cell = 0; cell < PLACES.length; cell++) {
    const part = objects.filter((object) => cellOf(object) === cell).length / objects.length;
    expect(part).toBeGreaterThan(0.09);
    expect(part).toBeLessThan(0.13);
  }
});
