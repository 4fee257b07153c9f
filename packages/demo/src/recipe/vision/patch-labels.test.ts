import { expect, test } from "vitest";

import { GRID_SIZE, PATCHES, PATCH_HEADS, PATCH_SIZE, labelWeights, patchLabels } from "./patch-labels.ts";
import { CHARACTERS, COLORS, render, type Scene, sceneOf, SHAPES } from "../../scenes/index.ts";

/** For each object the pixels of each patch that it changes, found by drawing the scene without it. */
function changedPixels(scene: Scene): number[][] {
  const whole = render(scene);
  return scene.objects.map((object) => {
    const without = render({ ...scene, objects: scene.objects.filter((other) => other !== object) });
    const counts = Array.from({ length: PATCHES }, () => 0);
    for (let i = 0; i < whole.length; i += 3) {
      const change = [0, 1, 2].reduce((sum, c) => sum + Math.abs(whole[i + c]! - without[i + c]!), 0);
      const y = Math.floor(i / 3 / 96);
      const x = (i / 3) % 96;
      if (change > 20) counts[Math.floor(y / PATCH_SIZE) * GRID_SIZE + Math.floor(x / PATCH_SIZE)]! += 1;
    }
    return counts;
  });
}

test("patches are labeled with the object whose pixels fill them", () => {
  for (let i = 0; i < 200; i++) {
    const scene = sceneOf("train", i, i < 150 ? 0 : 0.5);
    const labels = patchLabels(scene);
    const changed = changedPixels(scene);
    changed.forEach((counts, index) => {
      const object = scene.objects[index]!;
      const own =
        object.kind === "shape" ? 1 + SHAPES.indexOf(object.shape) : 7 + CHARACTERS.indexOf(object.character);
      // Well filled patches are the object's; stripes can hide some of its pixels on a white background.
      for (const patch of counts.keys()) {
        if (counts[patch]! <= 0.5 * PATCH_SIZE ** 2) continue;
        expect(labels.kind[patch], `scene ${i}, patch ${patch}`).toBe(own);
        expect(labels.color[patch]).toBe(object.color ? 1 + COLORS.indexOf(object.color) : 0);
      }
    });
    labels.kind.forEach((kind, patch) => {
      const touching = changed.some((counts) => counts[patch]! > 0);
      const isHollow = scene.objects.some((object) => object.kind === "character");
      if (kind > 0 && !isHollow) expect(touching, `scene ${i}, patch ${patch}`).toBe(true);
    });
  }
});

const third = (value: number): number => (value < 32 ? 0 : value < 64 ? 1 : 2);

test("every object has exactly one center patch, which names its column, row and cell", () => {
  for (let i = 0; i < 500; i++) {
    const scene = sceneOf("train", i);
    const labels = patchLabels(scene);
    const centers = [...labels.center.keys()].filter((patch) => labels.center[patch] === 1);
    expect(centers).toHaveLength(scene.objects.length);
    for (const patch of centers) {
      const [row, column] = [Math.floor(patch / GRID_SIZE), patch % GRID_SIZE];
      expect(labels.column[patch]).toBe(column + 1);
      expect(labels.row[patch]).toBe(row + 1);
      const object = scene.objects.find(
        (o) => Math.floor(o.x / 12) === column && Math.floor(o.y / 12) === row,
      )!;
      expect(labels.cell[patch]).toBe(1 + third(object.y) * 3 + third(object.x));
      expect(labels.size[patch]).toBe(object.size === "small" ? 1 : 2);
    }
  }
});

test("labels are classes of their heads, all or none of them background", () => {
  for (let i = 0; i < 300; i++) {
    const labels = patchLabels(sceneOf("test", i));
    const weights = labelWeights(labels);
    const foreground = Array.from(labels.kind, (kind) => kind > 0);
    expect(Array.from(weights)).toEqual(foreground.map((is) => (is ? 1 : Math.fround(0.15))));
    for (const { name, classes } of PATCH_HEADS) {
      expect(labels[name]).toHaveLength(PATCHES);
      expect(Math.max(...labels[name])).toBeLessThan(classes);
      if (name !== "center") expect(Array.from(labels[name], (label) => label > 0)).toEqual(foreground);
    }
  }
});
