import { expect, test } from "vitest";

import { EVALUATION_KINDS, evaluationItem, mentionsHeldOut } from "./evaluation.ts";
import { isHeldOut, NOTHING, sceneOf, SHORT_ANSWER_SUFFIX, type Split, WORDINGS } from "../scenes/index.ts";

const SEEDS = Array.from({ length: 60 }, (_, seed) => seed);
const cases = (["test", "held-out"] as const).flatMap((split) =>
  EVALUATION_KINDS[split].map((kind) => [split, kind] as const),
);

test.each(cases)("%s questions of %s are fixed by their seeds, balanced and in style", (split, kind) => {
  const items = SEEDS.map((seed) => evaluationItem(kind, split, seed));
  expect(evaluationItem(kind, split, 7)).toEqual(items[7]);
  expect(new Set(items.map((item) => JSON.stringify(item.scene))).size).toBe(items.length);
  const isSentence = kind === "identity" || kind === "nothing";
  for (const { question } of items) expect(question.endsWith(SHORT_ANSWER_SUFFIX)).toBe(!isSentence);
  if (kind === "exist" || kind === "compare") {
    expect(items.filter(({ answer }) => answer === "yes")).toHaveLength(items.length / 2);
    expect(items.filter(({ answer }) => answer === "no")).toHaveLength(items.length / 2);
  }
  if (kind === "nothing") for (const { answer } of items) expect(answer).toBe(NOTHING.sentence);
});

test("held-out questions are of scenes with a held-out pair, others never are", () => {
  for (const [split, kind] of cases) {
    for (const seed of SEEDS.slice(0, 20)) {
      const { scene, question, answer } = evaluationItem(kind, split, seed);
      const has = scene.objects.some(
        (object) => object.kind === "shape" && isHeldOut(object.color, object.shape),
      );
      expect(has).toBe(split === "held-out");
      if (split === "test") expect(mentionsHeldOut(`${question} ${answer}`)).toBe(false);
      if (split === "held-out" && kind === "exist") expect(mentionsHeldOut(question)).toBe(true);
    }
  }
});

test("the wording that was held back can be asked for", () => {
  const { question } = evaluationItem("where", "test", 1, "unseen");
  const [before = ""] = WORDINGS.where.unseen.split("{a}");
  expect(question.startsWith(before)).toBe(true);
});

test("a test scene is never a training scene, and kinds that a split lacks are refused", () => {
  const trained = new Set(Array.from({ length: 3000 }, (_, i) => JSON.stringify(sceneOf("train", i))));
  for (const seed of SEEDS)
    expect(trained.has(JSON.stringify(evaluationItem("color", "test", seed).scene))).toBe(false);
  const split: Split = "held-out";
  expect(() => evaluationItem("read", split, 0)).toThrow(RangeError);
});
