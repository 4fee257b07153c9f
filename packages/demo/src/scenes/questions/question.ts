/** Defines questions and their options, and picks the wording of a question. */
import { WORDINGS } from "./phrases.ts";
import type { Kind, Wordings } from "./phrases.ts";
import type { Random } from "../drawing/keyed-random.ts";
import { isClearlyPlaced } from "../drawing/scene.ts";
import type { SceneObject } from "../drawing/scene.ts";
import type { Split } from "../drawing/vocabulary.ts";

export interface Question {
  readonly kind: Kind;
  /** Key that is equal for questions with the same meaning in different wordings. */
  readonly key: string;
  readonly text: string;
  readonly short: string;
  readonly sentence: string;
  /** Phrase for what the question is about ("the circle", "red objects"), with which the same question can follow in short. */
  readonly topic: string | null;
  /** Objects that decide the answer. */
  readonly about: readonly SceneObject[];
}

export type Axis = "x" | "y";

export interface QuestionOptions {
  /** Split of the scene, which decides whether held-out pairs may be mentioned. */
  readonly split: Split;
  readonly wording: keyof Wordings;
  /** Share of questions of existence that name any of size, texture, color and shape together. */
  readonly detailShare: number;
  /** Whether the object's place in the 3×3 grid may be asked. */
  readonly isPlaced: (object: SceneObject) => boolean;
  /** Whether the order of two objects along an axis may be asked. */
  readonly isApart: (a: SceneObject, b: SceneObject, axis: Axis) => boolean;
}

/** Smallest distance along an axis, in scene units, at which left, right, above and below are asked. */
const RELATION_GAP = 10;

export const DEFAULT_OPTIONS: QuestionOptions = {
  split: "train",
  wording: "trained",
  detailShare: 0,
  isPlaced: isClearlyPlaced,
  isApart: (a, b, axis) => Math.abs(a[axis] - b[axis]) >= RELATION_GAP,
};

/** One of the kind's wordings, with {a} and {b} replaced. */
export function worded(
  kind: Exclude<Kind, "identity">,
  random: Random,
  options: QuestionOptions,
  a = "",
  b = "",
): string {
  return wordingOf(WORDINGS[kind], random, options).replace("{a}", a).replace("{b}", b);
}

export function wordingOf(wordings: Wordings, random: Random, options: QuestionOptions): string {
  return options.wording === "unseen" ? wordings.unseen : random.pick(wordings.trained);
}
