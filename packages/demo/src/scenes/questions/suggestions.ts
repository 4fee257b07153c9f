/** Suggests a few questions of different kinds about a scene, each with its true answer. */
import type { Kind } from "./phrases.ts";
import type { Question } from "./question.ts";
import { questionFor } from "./questions.ts";
import { Random } from "../drawing/keyed-random.ts";
import type { Scene } from "../drawing/scene.ts";

/** Kinds in the order of preference. */
const KINDS: readonly Kind[] = [
  "read",
  "color",
  "count_shape",
  "relation_x",
  "where",
  "exist",
  "texture",
  "count_all",
  "shape",
  "compare",
  "size",
  "relation_y",
];
/** The kind of the last question about every scene. */
const WHOLE: Kind = "describe";
const TRIES = 8;

/** @param isHeldOut whether pairs that training never drew may be named, as in scenes that show one */
export function suggestQuestions(scene: Scene, seed: number, most: number, isHeldOut: boolean): Question[] {
  const random = Random.of(seed, "suggestions");
  const options = { split: isHeldOut ? "held-out" : "train" } as const;
  const found: Question[] = [];
  const ask = (kind: Kind): void => {
    for (let tries = 0; tries < TRIES; tries++) {
      const question = questionFor(scene, kind, random, options);
      if (question === null || found.some(({ key }) => key === question.key)) continue;
      found.push(question);
      return;
    }
  };
  // Kinds at the beginning of the list are asked more often, but not about every scene.
  const order = KINDS.map((kind, i) => ({ kind, rank: i + 6 * random.next() })).sort(
    (a, b) => a.rank - b.rank,
  );
  for (const { kind } of order) if (found.length < most - 1) ask(kind);
  ask(scene.objects.length === 0 ? "nothing" : WHOLE);
  return found;
}
