/** Asks one question of a given kind about a scene, with its short answer and its full sentence. */
import { caption, shortCaption } from "./captions.ts";
import { askAboutNumber } from "./counting.ts";
import { IDENTITY, NOTHING } from "./phrases.ts";
import type { Kind } from "./phrases.ts";
import { DEFAULT_OPTIONS, worded, wordingOf } from "./question.ts";
import type { Axis, Question, QuestionOptions } from "./question.ts";
import type { Random } from "../drawing/keyed-random.ts";
import { placeOf } from "../drawing/scene.ts";
import type { Scene, SceneObject } from "../drawing/scene.ts";
import { atPlace, capitalized, characterClass, nounOf, references, withArticle } from "./english.ts";

/** A random question of the kind, with evenly distributed answers; null when the scene has nothing that it could be about. */
export function questionFor(
  scene: Scene,
  kind: Kind,
  random: Random,
  options: Partial<QuestionOptions> = {},
): Question | null {
  const all = { ...DEFAULT_OPTIONS, ...options };
  switch (kind) {
    case "exist":
    case "count_all":
    case "count_color":
    case "count_shape":
    case "compare":
      return askAboutNumber(scene, kind, random, all);
    case "color":
    case "shape":
    case "size":
    case "texture":
    case "where":
      return askAboutObject(scene, kind, random, all);
    case "relation_x":
      return askRelation(scene, "x", random, all);
    case "relation_y":
      return askRelation(scene, "y", random, all);
    case "read":
      return askToRead(scene, random, all);
    case "describe":
    case "nothing":
      return askToDescribe(scene, kind, random, all);
    case "identity":
      return askWho(random, all);
    default:
      return kind satisfies never;
  }
}

type ObjectKind = "color" | "shape" | "size" | "texture" | "where";

function askAboutObject(
  scene: Scene,
  kind: ObjectKind,
  random: Random,
  options: QuestionOptions,
): Question | null {
  const candidates = scene.objects
    .map((object) => ({ object, names: references(scene, object, hiddenBy(kind)) }))
    .filter(({ object, names }) => names.length > 0 && answerAbout(object, kind, options) !== null);
  if (candidates.length === 0) return null;
  // Striped objects are rare: most questions are about them where there are some, and fewer where there are none.
  const striped = candidates.filter(({ object }) => object.kind === "shape" && object.texture === "striped");
  const isAboutStripes = kind === "texture" && (striped.length > 0 ? random.chance(0.75) : false);
  if (kind === "texture" && striped.length === 0 && random.chance(0.4)) return null;
  const { object, names } = random.pick(isAboutStripes ? striped : candidates);
  const name = random.pick(names);
  return aboutObject(object, kind, name, worded(kind, random, options, name), options);
}

/** The question with the given text about one object with the name `name`; null when it has no clear answer. */
export function aboutObject(
  object: SceneObject,
  kind: ObjectKind,
  name: string,
  text: string,
  options: QuestionOptions = DEFAULT_OPTIONS,
): Question | null {
  const short = answerAbout(object, kind, options);
  if (short === null) return null;
  const predicate =
    kind === "shape" ? withArticle(short) : kind === "where" ? atPlace(placeOf(object)) : short;
  const sentence = `${capitalized(name)} is ${predicate}.`;
  return { kind, key: `${kind} ${identityOf(object)}`, text, short, sentence, topic: name, about: [object] };
}

function answerAbout(object: SceneObject, kind: ObjectKind, options: QuestionOptions): string | null {
  switch (kind) {
    case "color":
      return object.color;
    case "shape":
      return object.kind === "shape" ? object.shape : null;
    case "size":
      return object.kind === "shape" ? object.size : null;
    case "texture":
      return object.kind === "shape" ? object.texture : null;
    case "where":
      return options.isPlaced(object) ? placeOf(object) : null;
    default:
      return kind satisfies never;
  }
}

function hiddenBy(kind: ObjectKind): "color" | "shape" | null {
  return kind === "color" || kind === "shape" ? kind : null;
}

/** No two objects of a scene share a centre. */
function identityOf(object: SceneObject): string {
  return `${object.x},${object.y}`;
}

const SIDES = { x: ["left", "right"], y: ["above", "below"] } as const;

function askRelation(scene: Scene, axis: Axis, random: Random, options: QuestionOptions): Question | null {
  const pairs = scene.objects.flatMap((a) =>
    scene.objects.filter((b) => a[axis] < b[axis] && options.isApart(a, b, axis)).map((b) => [a, b] as const),
  );
  if (pairs.length === 0) return null;
  const isFirst = random.chance(0.5);
  const [low, high] = random.pick(pairs);
  const [a, b] = isFirst ? [low, high] : [high, low];
  const namesOfA = references(scene, a, null);
  const namesOfB = references(scene, b, null);
  if (namesOfA.length === 0 || namesOfB.length === 0) return null;
  const kind = axis === "x" ? "relation_x" : "relation_y";
  const nameOfA = random.pick(namesOfA);
  const nameOfB = random.pick(namesOfB);
  const short = SIDES[axis][isFirst ? 0 : 1];
  const place = axis === "x" ? `to the ${short} of` : short;
  return {
    kind,
    key: `${kind} ${identityOf(low)} ${identityOf(high)}`,
    text: worded(kind, random, options, nameOfA, nameOfB),
    short,
    sentence: `${capitalized(nameOfA)} is ${place} ${nameOfB}.`,
    topic: null,
    about: [a, b],
  };
}

/** Asks for the character of a scene that has exactly one; some questions state whether it is a letter or a digit. */
function askToRead(scene: Scene, random: Random, options: QuestionOptions): Question | null {
  const [object, second] = scene.objects.filter((o) => o.kind === "character");
  if (!object || second) return null;
  const text = worded("read", random, options);
  return {
    kind: "read",
    key: "read",
    text: random.chance(0.3) ? text.replace("character", characterClass(object)) : text,
    short: object.character,
    sentence: `It is the ${nounOf(object)}.`,
    topic: null,
    about: [object],
  };
}

function askToDescribe(
  scene: Scene,
  kind: "describe" | "nothing",
  random: Random,
  options: QuestionOptions,
): Question | null {
  if ((scene.objects.length === 0) !== (kind === "nothing")) return null;
  const answer = kind === "nothing" ? NOTHING : { short: shortCaption(scene), sentence: caption(scene) };
  return {
    kind,
    key: kind,
    text: worded(kind, random, options),
    ...answer,
    topic: null,
    about: scene.objects,
  };
}

function askWho(random: Random, options: QuestionOptions): Question {
  const { wordings, answer } = random.pick(IDENTITY);
  const text = wordingOf(wordings, random, options);
  return {
    kind: "identity",
    key: `identity ${answer}`,
    text,
    short: answer,
    sentence: answer,
    topic: null,
    about: [],
  };
}
