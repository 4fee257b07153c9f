import { expect, test } from "vitest";

import { cellOf, isClearlyPlaced, sceneOf } from "./scene.ts";
import type { Scene, SceneObject } from "./scene.ts";
import type { Rgb } from "./shades.ts";
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

test("objects whose color has no name are of their share, and else as they were", () => {
  const named = scenes("train", 2_000).flatMap(({ objects }) => objects);
  const mixed = Array.from({ length: 2_000 }, (_, i) => sceneOf("train", i, 0.4)).flatMap(
    ({ objects }) => objects,
  );
  expect(named.every(({ color }) => color !== null)).toBe(true);
  expect(mixed.filter(({ color }) => color === null).length / mixed.length).toBeCloseTo(0.4, 1);
  const places = (objects: readonly SceneObject[]): Set<string> =>
    new Set(objects.map(({ x, y }) => `${x},${y}`));
  expect(places(mixed)).toEqual(places(named));
});

test("no color without a name comes near a named one", () => {
  const objects = Array.from({ length: 1_200 }, (_, i) => sceneOf("train", i, 0.5)).flatMap(
    (scene) => scene.objects,
  );
  const rgbs = (isNamed: boolean): Rgb[] =>
    objects.filter(({ color }) => (color !== null) === isNamed).map(({ rgb }) => rgb);
  const named = rgbs(true);
  for (const [red, green, blue] of rgbs(false)) {
    const nearest = Math.min(...named.map(([r, g, b]) => Math.hypot(r - red, g - green, b - blue)));
    expect(nearest, `${red} ${green} ${blue}`).toBeGreaterThan(20);
  }
});

test("text-only scenes have any pairs, held-out ones among them", () => {
  const textOnly = scenes("text-only", 2_000);
  const pairs = new Set(
    textOnly
      .flatMap(({ objects }) => objects)
      .map((o) => (o.kind === "shape" ? `${o.color} ${o.shape}` : "")),
  );
  expect(pairs.size).toBe(COLORS.length * SHAPES.length + 1);
  expect(textOnly.every(hasHeldOut)).toBe(false);
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
