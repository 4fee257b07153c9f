import { RADIUS, SCENE_SIZE } from "@llava/demo/scenes";
import { expect, test } from "vitest";

import { EditorState, MAX_OBJECTS } from "./editor-state.ts";

test("scene editor: objects are added where there is room, up to the limit", () => {
  const state = new EditorState();
  for (let i = 0; i < 8; i++) state.addShape("star", "blue");
  expect(state.objects.value).toHaveLength(MAX_OBJECTS);
  expect(state.isFull.value).toBe(true);
  expect(state.isCrowded.value).toBe(false);
});

test("scene editor: the chosen object changes its properties and keeps the others", () => {
  const state = new EditorState();
  state.addCharacter("K", "purple");
  state.change({ color: "green", size: "small" });
  expect(state.object.value).toMatchObject({
    kind: "character",
    character: "K",
    color: "green",
    size: "large",
  });
  state.chosen.value = 0;
  state.change({ texture: "striped" });
  state.change({ size: "small" });
  expect(state.object.value).toMatchObject({
    shape: "circle",
    color: "red",
    texture: "striped",
    size: "small",
    radius: RADIUS.small,
  });
});

test("scene editor: no object can be moved out of the image", () => {
  const state = new EditorState();
  for (let i = 0; i < 100; i++) state.moveBy(1, -1);
  const { x = 0, y = 0, radius = 0 } = state.object.value ?? {};
  expect(x + radius).toBeLessThanOrEqual(SCENE_SIZE);
  expect(y - radius).toBeGreaterThanOrEqual(0);
  state.moveTo({ x: -50, y: 500 });
  expect(state.object.value?.x).toBeGreaterThan(0);
  expect(state.object.value?.y).toBeLessThan(SCENE_SIZE);
});

test("scene editor: the topmost object at a point is chosen, and all objects can be removed", () => {
  const state = new EditorState();
  state.addShape("star", "blue");
  state.moveTo({ x: 50, y: 50 });
  expect(state.isCrowded.value).toBe(true);
  expect(state.chooseAt({ x: 49, y: 49 })).toBe(true);
  expect(state.chosen.value).toBe(1);
  expect(state.chooseAt({ x: 2, y: 2 })).toBe(false);
  state.remove();
  state.remove();
  state.remove();
  expect(state.objects.value).toEqual([]);
  expect(state.object.value).toBeNull();
});
