import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { isClearlyPlaced, isHeldOut, SAMPLE_SCENES } from "@llava/demo/scenes";
import { describe as describeSample } from "./page-samples.ts";

const COMMITTED = new URL("../../apps/web/src/browser/public/samples/samples.json", import.meta.url);

function heldOutPairs(index: number): string[] {
  const objects = SAMPLE_SCENES[index]?.scene.objects ?? [];
  return objects.flatMap((object) =>
    object.kind === "shape" && isHeldOut(object.color, object.shape)
      ? [`${object.color} ${object.shape}`]
      : [],
  );
}

test("the first sample has one circle, few objects and nothing that training never saw", () => {
  const objects = SAMPLE_SCENES[0]?.scene.objects ?? [];
  expect(objects.filter((object) => object.kind === "shape" && object.shape === "circle")).toHaveLength(1);
  expect(objects.length).toBeGreaterThanOrEqual(2);
  expect(objects.length).toBeLessThanOrEqual(4);
  expect(SAMPLE_SCENES[0]?.questions[0]?.text).toBe("What color is the circle?");
});

test("exactly the sample with the badge shows a pair that training never saw", () => {
  SAMPLE_SCENES.forEach((sample, index) => {
    expect(heldOutPairs(index).length > 0, sample.file).toBe(sample.badge !== undefined);
  });
  expect(heldOutPairs(5)).toEqual(["purple circle"]);
});

test("objects keep clear of each other, of the edges and of the borders between places", () => {
  for (const { file, scene } of SAMPLE_SCENES) {
    scene.objects.forEach((object, index) => {
      expect(isClearlyPlaced(object), `${file}, object ${index}`).toBe(true);
      const edge = Math.min(object.x, object.y, 96 - object.x, 96 - object.y);
      expect(edge, `${file}, object ${index}`).toBeGreaterThanOrEqual(object.radius * 1.1 + 1);
      for (const other of scene.objects.slice(index + 1)) {
        const distance = Math.hypot(object.x - other.x, object.y - other.y);
        expect(distance, file).toBeGreaterThanOrEqual(1.08 * (object.radius + other.radius) + 3);
      }
    });
  }
});

test("samples.json is what the scenes say", () => {
  const committed: unknown = JSON.parse(readFileSync(COMMITTED, "utf8"));
  expect(committed).toEqual(SAMPLE_SCENES.map(describeSample));
});
