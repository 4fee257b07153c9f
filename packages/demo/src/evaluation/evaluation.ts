/** Makes single questions with known answers, for measuring the model; kind, split and seed decide each. */
import {
  COLORS,
  isHeldOut,
  type Kind,
  KINDS,
  type Question,
  questionFor,
  Random,
  type Scene,
  sceneOf,
  SHAPES,
  SHORT_ANSWER_SUFFIX,
  type Split,
  type Wordings,
} from "../scenes/index.ts";

export interface EvaluationItem {
  readonly kind: Kind;
  readonly scene: Scene;
  /** Question for the turn that follows the image. */
  readonly question: string;
  readonly answer: string;
}

const EVERY_KIND: readonly Kind[] = KINDS;

/** The kinds of questions in each split: in "held-out" only those whose answer can depend on a held-out pair. */
export const EVALUATION_KINDS: Readonly<Record<Split, readonly Kind[]>> = {
  train: EVERY_KIND,
  test: EVERY_KIND,
  "text-only": EVERY_KIND,
  "held-out": EVERY_KIND.filter((kind) => !["count_all", "read", "identity", "nothing"].includes(kind)),
};

/** Number of scenes that one item is chosen from; no two items of a kind have a scene in common. */
const SCENES_PER_ITEM = 1024;

/**
 * The seed-th question of a kind; even seeds have the answer yes and odd ones no, other answers are balanced as in
 * training. All kinds but "identity" and "nothing" ask for a single word or phrase.
 * @param seed an integer in [0, 2^20)
 * @throws RangeError if the split has no questions of the kind
 */
export function evaluationItem(
  kind: Kind,
  split: Split,
  seed: number,
  wording: keyof Wordings = "trained",
): EvaluationItem {
  if (!EVALUATION_KINDS[split].includes(kind))
    throw new RangeError(`The split "${split}" has no questions of ${kind}.`);
  for (let i = 0; i < SCENES_PER_ITEM; i++) {
    const index = seed * SCENES_PER_ITEM + i;
    const scene = sceneOf(split, index);
    const question = questionFor(scene, kind, Random.of(index, split, kind), { split, wording });
    if (!question || question.short === (seed % 2 === 0 ? "no" : "yes")) continue;
    if (split === "held-out" && !concernsHeldOut(question)) continue;
    return { kind, scene, ...worded(question) };
  }
  throw new RangeError(`No scene of the split "${split}" near seed ${seed} allows a question of ${kind}.`);
}

function worded({ kind, text, short, sentence }: Question): { question: string; answer: string } {
  const isSentence = kind === "identity" || kind === "nothing";
  return isSentence
    ? { question: text, answer: sentence }
    : { question: text + SHORT_ANSWER_SUFFIX, answer: short };
}

/** Whether the question is about a held-out pair, by its name or as an object; a question of existence must name it. */
function concernsHeldOut(question: Question): boolean {
  if (question.kind === "exist") return mentionsHeldOut(question.text);
  const isAbout = question.about.some(
    (object) => object.kind === "shape" && isHeldOut(object.color, object.shape),
  );
  return isAbout || mentionsHeldOut(question.text);
}

/** Whether the text names a held-out pair. */
export function mentionsHeldOut(text: string): boolean {
  return HELD_OUT_NAMES.some((name) => text.includes(name));
}

const HELD_OUT_NAMES: readonly string[] = COLORS.flatMap((color) =>
  SHAPES.filter((shape) => isHeldOut(color, shape)).map((shape) => `${color} ${shape}`),
);
