import { expect, test } from "vitest";

import { SAMPLE_SCENES, answerTo } from "./sample-scenes.ts";
import { sceneOf } from "../drawing/scene.ts";
import { suggestQuestions } from "./suggestions.ts";

test("every drawing has a few questions of different meaning, the last about the whole", () => {
  for (let i = 0; i < 200; i++) {
    const scene = sceneOf("test", i);
    const questions = suggestQuestions(scene, i, 4, false);
    expect(new Set(questions.map(({ key }) => key)).size).toBe(questions.length);
    expect(questions.length).toBeLessThanOrEqual(4);
    expect(questions.at(-1)?.kind).toBe(scene.objects.length === 0 ? "nothing" : "describe");
    expect(suggestQuestions(scene, i, 4, false)).toEqual(questions);
  }
});

test("the answers to the samples' questions are known", () => {
  for (const { scene, questions } of SAMPLE_SCENES)
    for (const { kind, text } of questions) expect(answerTo(scene, kind, text)).toMatch(/\.$/);
  const [shapes] = SAMPLE_SCENES;
  if (!shapes) throw new Error("There are no samples.");
  expect(answerTo(shapes.scene, "color", "What color is the circle?")).toBe("The circle is red.");
  expect(answerTo(shapes.scene, "color", "What color is the moon?")).toBeNull();
});
