import { expect, test } from "vitest";

import { rasterize, render } from "./rasterizer.ts";
import { sceneOf } from "./scene.ts";
import type { Scene, SceneObject } from "./scene.ts";
import { CHARACTERS } from "./vocabulary.ts";

/** The name a person would give to a pure color, by hue and paleness. */
function colorName([red, green, blue]: readonly [number, number, number]): string {
  const most = Math.max(red, green, blue);
  const spread = most - Math.min(red, green, blue);
  const sector =
    most === red
      ? (green - blue) / spread
      : most === green
        ? 2 + (blue - red) / spread
        : 4 + (red - green) / spread;
  const hue = (sector * 60 + 360) % 360;
  if (hue > 300 && hue < 345) return "pink";
  const limits = { red: 12, orange: 41, yellow: 75, green: 155, cyan: 200, blue: 255, purple: 300 };
  return Object.entries(limits).find(([, limit]) => hue < limit)?.[0] ?? "red";
}

/** The mean color of the pixels that lie wholly in the object and on no stripe. */
function inkColor(scene: Scene, index: number): [number, number, number] {
  const coverage = rasterize(scene)[index]!;
  const pixels = render(scene);
  const sum = [0, 0, 0];
  let count = 0;
  coverage.ink.forEach((ink, k) => {
    if (ink < 4 || coverage.stripe[k] !== 0) return;
    const row = coverage.top + Math.floor(k / coverage.width);
    const column = coverage.left + (k % coverage.width);
    for (let channel = 0; channel < 3; channel++) sum[channel]! += pixels[(row * 96 + column) * 3 + channel]!;
    count++;
  });
  return [sum[0]! / count, sum[1]! / count, sum[2]! / count];
}

test("every object's pixels have the color that the scene says", () => {
  for (let i = 0; i < 400; i++) {
    const scene = sceneOf("train", i);
    scene.objects.forEach((object, index) =>
      expect(colorName(inkColor(scene, index)), `scene ${i}`).toBe(object.color),
    );
  }
});

test("pictures are bytes of the size asked for, equal for equal scenes", () => {
  const scene = sceneOf("test", 1);
  expect(render(scene)).toHaveLength(96 * 96 * 3);
  expect(render(scene, 384)).toHaveLength(384 * 384 * 3);
  expect(render(scene)).toEqual(render(sceneOf("test", 1)));
});

test("a larger picture shows the same: the mean of its blocks is the small picture, edges and grain aside", () => {
  const scene = { ...sceneOf("test", 3), background: { ...sceneOf("test", 3).background, noise: 0 } };
  const small = render(scene);
  const large = render(scene, 384);
  let difference = 0;
  for (let i = 0; i < 96 * 96; i++) {
    let sum = 0;
    for (let k = 0; k < 16; k++) {
      const y = Math.floor(i / 96) * 4 + (k >> 2);
      const x = (i % 96) * 4 + (k & 3);
      sum += large[(y * 384 + x) * 3]!;
    }
    difference = Math.max(difference, Math.abs(sum / 16 - small[i * 3]!));
  }
  expect(difference).toBeLessThan(70);
});

test("striped objects have light stripes and a whole rim, solid ones do not", () => {
  for (let i = 0; i < 300; i++) {
    const scene = sceneOf("train", i);
    const coverages = rasterize(scene);
    scene.objects.forEach((object, index) => {
      const { ink, stripe } = coverages[index]!;
      const striped =
        stripe.reduce((sum, samples) => sum + samples, 0) / ink.reduce((sum, samples) => sum + samples, 0);
      const isStriped = object.kind === "shape" && object.texture === "striped";
      expect(striped > 0).toBe(isStriped);
      if (isStriped) expect(striped).toBeGreaterThan(0.1);
    });
  }
});

test("every character has a drawing of its own that fills its box", () => {
  const drawn = CHARACTERS.map((character) => {
    const object: SceneObject = {
      kind: "character",
      character,
      color: "red",
      rgb: [255, 0, 0],
      size: "large",
      x: 48,
      y: 48,
      radius: 14,
      rotation: 0,
    };
    const background = {
      color: [255, 255, 255],
      across: [0, 0, 0],
      down: [0, 0, 0],
      noise: 0,
      seed: 0,
    } as const;
    return render({ objects: [object], background });
  });
  for (const [i, a] of drawn.entries()) {
    const inked = a.filter((value, k) => k % 3 === 1 && value < 128).length;
    expect(inked).toBeGreaterThan(90);
    for (const b of drawn.slice(i + 1)) {
      const differing = a.filter((value, k) => Math.abs(value - b[k]!) > 128).length / 2;
      expect(differing).toBeGreaterThan(20);
    }
  }
});
