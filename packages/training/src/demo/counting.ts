// Questions about how many: existence, counts and their comparison, with answers kept in balance.
import { worded } from "./question.ts";
import type { Question, QuestionOptions } from "./question.ts";
import type { Random } from "./random.ts";
import type { Scene, SceneObject } from "./scene.ts";
import { COLORS, SHAPES, isHeldOut } from "./vocabulary.ts";
import type { Color, Shape } from "./vocabulary.ts";
import { characterClass, numberWord, plural, withArticle } from "./words.ts";

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

/** Things of one name and those of the scene that bear it. */
interface Group {
  /** In the singular. */
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

/** How much each count is wanted, 0 to 5: high counts of one color or shape are rare in scenes, so they are taken gladly. */
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

function askExistence(scene: Scene, random: Random, options: QuestionOptions): Question | null {
  const isThere = random.chance(0.5);
  const noun = isThere ? presentThing(scene, random) : absentThing(scene, random, options);
  if (noun === null) return null;
  const thing = withArticle(noun);
  return {
    kind: "exist",
    key: `exist ${noun}`,
    text: worded("exist", random, options, thing),
    short: isThere ? "yes" : "no",
    sentence: isThere ? `Yes, there is ${thing}.` : `No, there is no ${noun}.`,
    topic: thing,
    about: scene.objects.filter((object) => namesOf(object).includes(noun)),
  };
}

/** The names under which existence is asked: color and kind, kind, color. */
function namesOf(object: SceneObject): [both: string, kind: string, color: string] {
  const kind = object.kind === "shape" ? object.shape : characterClass(object);
  return [`${object.color} ${kind}`, kind, `${object.color} object`];
}

/** How often existence is asked by color and kind, by kind alone, by color alone. */
const NAME_WEIGHTS = [0.7, 0.18, 0.12] as const;

function presentThing(scene: Scene, random: Random): string | null {
  if (scene.objects.length === 0) return null;
  return namesOf(random.pick(scene.objects))[random.weighted(NAME_WEIGHTS)] ?? null;
}

/** Something that is not there, most often one whose color or shape, or each on different objects, is. */
function absentThing(scene: Scene, random: Random, options: QuestionOptions): string | null {
  const present = new Set(scene.objects.flatMap(namesOf));
  const level = random.weighted(NAME_WEIGHTS);
  for (let tries = 0; tries < 12; tries++) {
    const { color, kind } = likelyPair(scene, random);
    const noun = [`${color} ${kind}`, kind, `${color} object`][level] ?? kind;
    const isSecret = level === 0 && kind !== "letter" && kind !== "digit" && isHeldOut(color, kind);
    if (!present.has(noun) && (!isSecret || options.split === "held-out")) return noun;
  }
  return null;
}

function likelyPair(scene: Scene, random: Random): { color: Color; kind: Shape | "letter" | "digit" } {
  const choice = scene.objects.length === 0 ? 3 : random.weighted([0.5, 0.22, 0.22, 0.06]);
  const hasColor = choice === 0 || choice === 1;
  const hasKind = choice === 0 || choice === 2;
  const anyKind = random.chance(0.1) ? random.pick(["letter", "digit"] as const) : random.pick(SHAPES);
  const color = hasColor ? random.pick(scene.objects).color : random.pick(COLORS);
  if (!hasKind) return { color, kind: anyKind };
  const model = random.pick(scene.objects);
  return { color, kind: model.kind === "shape" ? model.shape : characterClass(model) };
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
