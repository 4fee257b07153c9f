/** Asks about numbers: counts and comparisons of counts, with balanced answers. */
import { askExistence } from "./existence.ts";
import { worded } from "./question.ts";
import type { Question, QuestionOptions } from "./question.ts";
import type { Random } from "../drawing/keyed-random.ts";
import type { Scene, SceneObject } from "../drawing/scene.ts";
import { COLORS, SHAPES } from "../drawing/vocabulary.ts";
import type { Shape } from "../drawing/vocabulary.ts";
import { numberWord, plural } from "./english.ts";

type NumberKind = "exist" | "count_all" | "count_color" | "count_shape" | "compare";

export function askAboutNumber(
  scene: Scene,
  kind: NumberKind,
  random: Random,
  options: QuestionOptions,
): Question | null {
  switch (kind) {
    case "exist":
      return askExistence(scene, random, options);
    case "count_all":
      return countQuestion(kind, everything(scene), random, options);
    case "count_color":
    case "count_shape":
      return countQuestion(
        kind,
        pickGroup(kind === "count_color" ? byColor(scene) : byShape(scene), random),
        random,
        options,
      );
    case "compare":
      return askComparison(scene, random, options);
    default:
      return kind satisfies never;
  }
}

/** A name and the objects of the scene that have it. */
interface Group {
  /** Name in the singular. */
  readonly noun: string;
  readonly members: readonly SceneObject[];
}

function everything(scene: Scene): Group {
  return { noun: "object", members: scene.objects };
}

function byColor(scene: Scene): Group[] {
  return COLORS.map((color) => ({
    noun: `${color} object`,
    members: scene.objects.filter((object) => object.color === color),
  }));
}

function byShape(scene: Scene): Group[] {
  return SHAPES.map((shape) => ({
    noun: shape,
    members: scene.objects.filter((object) => isShape(object, shape)),
  }));
}

function isShape(object: SceneObject, shape: Shape): boolean {
  return object.kind === "shape" && object.shape === shape;
}

/** Weights of the counts 0 to 5: high counts of one color or shape are rare in scenes, so they have large ones. */
const COUNT_WEIGHTS = [0.35, 1, 4, 8, 16, 16] as const;

function pickGroup(groups: readonly Group[], random: Random): Group {
  const counts = [...new Set(groups.map((group) => group.members.length))];
  const count = counts[random.weighted(counts.map((n) => COUNT_WEIGHTS[n] ?? 1))];
  return random.pick(groups.filter((group) => group.members.length === count));
}

function countQuestion(
  kind: "count_all" | "count_color" | "count_shape",
  { noun, members }: Group,
  random: Random,
  options: QuestionOptions,
): Question {
  const many = plural(noun);
  return {
    kind,
    key: `${kind} ${noun}`,
    text: worded(kind, random, options, many),
    short: numberWord(members.length),
    sentence: countSentence(members.length, noun),
    topic: kind === "count_all" ? null : many,
    about: members,
  };
}

function countSentence(count: number, noun: string): string {
  if (count === 0) return `There are no ${plural(noun)}.`;
  return count === 1 ? `There is one ${noun}.` : `There are ${numberWord(count)} ${plural(noun)}.`;
}

function askComparison(scene: Scene, random: Random, options: QuestionOptions): Question | null {
  const isMore = random.chance(0.5);
  const groups = random.chance(0.3) ? byColor(scene) : byShape(scene);
  const pairs = groups.flatMap((a) => groups.filter((b) => a !== b).map((b) => [a, b] as const));
  const fitting = pairs.filter(([a, b]) => size(a) + size(b) > 0 && size(a) > size(b) === isMore);
  const hard = fitting.filter(([a, b]) => size(a) > 0 && size(b) > 0);
  const choices = hard.length > 0 && random.chance(0.7) ? hard : fitting;
  if (choices.length === 0) return null;
  const [a, b] = random.pick(choices);
  const more = `more ${plural(a.noun)} than ${plural(b.noun)}`;
  return {
    kind: "compare",
    key: `compare ${[a.noun, b.noun].sort().join(" ")}`,
    text: worded("compare", random, options, plural(a.noun), plural(b.noun)),
    short: isMore ? "yes" : "no",
    sentence: isMore ? `Yes, there are ${more}.` : `No, there are not ${more}.`,
    topic: null,
    about: [...a.members, ...b.members],
  };
}

function size(group: Group): number {
  return group.members.length;
}
