/** Asks whether something is in the image: half of the answers are yes, and what is absent is similar to what is there. */
import { worded } from "./question.ts";
import type { Question, QuestionOptions } from "./question.ts";
import type { Random } from "../drawing/keyed-random.ts";
import type { Scene, SceneObject, ShapeObject } from "../drawing/scene.ts";
import {
  CHARACTERS,
  COLORS,
  SHAPES,
  SIZES,
  TEXTURES,
  isHeldOut,
  mayMentionHeldOut,
} from "../drawing/vocabulary.ts";
import type { Color, Shape, Size, Texture } from "../drawing/vocabulary.ts";
import { characterClass, colored, withArticle } from "./english.ts";

export function askExistence(scene: Scene, random: Random, options: QuestionOptions): Question | null {
  if (options.detailShare > 0 && random.chance(options.detailShare))
    return askInDetail(scene, random, options);
  const isThere = random.chance(0.5);
  const noun = isThere ? presentThing(scene, random) : absentThing(scene, random, options);
  if (noun === null) return null;
  const about = scene.objects.filter((object) => namesOf(object).includes(noun));
  return existence(noun, isThere, about, random, options);
}

function existence(
  noun: string,
  isThere: boolean,
  about: readonly SceneObject[],
  random: Random,
  options: QuestionOptions,
): Question {
  const thing = withArticle(noun);
  return {
    kind: "exist",
    key: `exist ${noun}`,
    text: worded("exist", random, options, thing),
    short: isThere ? "yes" : "no",
    sentence: isThere ? `Yes, there is ${thing}.` : `No, there is no ${noun}.`,
    topic: thing,
    about,
  };
}

/** Some of a shape's looks; those left out are not asked about. */
interface Looks {
  readonly size?: Size;
  readonly texture?: Texture;
  readonly color?: Color;
  readonly shape?: Shape;
}

/** Probability of each look to be mentioned in a detailed question. */
const MENTIONED = { size: 0.4, texture: 0.35, color: 0.5, shape: 0.6 } as const;

/**
 * "Is there a large striped circle?": asks about any looks together. When the answer is no, an object differs in one of
 * them, so that all of them matter for the answer.
 */
function askInDetail(scene: Scene, random: Random, options: QuestionOptions): Question | null {
  const isAboutCharacter =
    random.chance(CHARACTER_SHARE) && scene.objects.some(({ kind }) => kind === "character");
  return isAboutCharacter ? askForCharacter(scene, random, options) : askForLooks(scene, random, options);
}

/** Share of detailed questions that name a character, where there is one: "Is there a red letter K?" */
const CHARACTER_SHARE = 0.4;

function askForCharacter(scene: Scene, random: Random, options: QuestionOptions): Question | null {
  const characters = scene.objects.filter((object) => object.kind === "character");
  const { color, character } = random.pick(characters);
  const isThere = random.chance(0.5);
  const isOtherColor = color !== null && random.chance(0.5);
  const asked = {
    color: !isThere && isOtherColor ? other(COLORS, color, random) : color,
    character: isThere || isOtherColor ? character : other(CHARACTERS, character, random),
  };
  const about = characters.filter((o) => o.color === asked.color && o.character === asked.character);
  if (about.length > 0 !== isThere) return null;
  const kind = `${/\d/.test(asked.character) ? "digit" : "letter"} ${asked.character}`;
  return existence(asked.color ? `${asked.color} ${kind}` : kind, isThere, about, random, options);
}

function askForLooks(scene: Scene, random: Random, options: QuestionOptions): Question | null {
  const shapes = scene.objects.filter((object) => object.kind === "shape");
  if (shapes.length === 0) return null;
  const present = someLooks(random.pick(shapes), random);
  // Characters have no texture, and whether one is a "large object" is open to dispute.
  if (!present.shape && shapes.length < scene.objects.length) return null;
  const isThere = random.chance(0.5);
  const looks = isThere ? present : changed(present, random);
  const about = shapes.filter((object) => hasLooks(object, looks));
  const isSecret = looks.color && looks.shape && isHeldOut(looks.color, looks.shape);
  if (about.length > 0 !== isThere || (isSecret && !mayMentionHeldOut(options.split))) return null;
  return existence(nounFor(looks), isThere, about, random, options);
}

function someLooks({ size, texture, color, shape }: ShapeObject, random: Random): Looks {
  const looks = {
    ...(random.chance(MENTIONED.size) ? { size } : {}),
    ...(random.chance(MENTIONED.texture) ? { texture } : {}),
    ...(random.chance(MENTIONED.color) && color ? { color } : {}),
    ...(random.chance(MENTIONED.shape) ? { shape } : {}),
  };
  return Object.keys(looks).length > 0 ? looks : { shape };
}

/** The looks with one of them replaced by another value. */
function changed(looks: Looks, random: Random): Looks {
  const { size, texture, color, shape } = looks;
  const changes: Looks[] = [
    ...(size ? [{ size: other(SIZES, size, random) }] : []),
    ...(texture ? [{ texture: other(TEXTURES, texture, random) }] : []),
    ...(color ? [{ color: other(COLORS, color, random) }] : []),
    ...(shape ? [{ shape: other(SHAPES, shape, random) }] : []),
  ];
  return { ...looks, ...random.pick(changes) };
}

function other<T>(values: readonly T[], value: T, random: Random): T {
  return random.pick(values.filter((candidate) => candidate !== value));
}

function hasLooks(object: ShapeObject, { size, texture, color, shape }: Looks): boolean {
  return (
    (size ?? object.size) === object.size &&
    (texture ?? object.texture) === object.texture &&
    (color ?? object.color) === object.color &&
    (shape ?? object.shape) === object.shape
  );
}

function nounFor({ size, texture, color, shape }: Looks): string {
  return [size, texture, color, shape ?? "object"].filter((word) => word !== undefined).join(" ");
}

/** Names for questions of existence: color and kind, kind, color; an object without a color has its kind in place of it. */
function namesOf(object: SceneObject): [both: string, kind: string, color: string] {
  const kind = object.kind === "shape" ? object.shape : characterClass(object);
  return [colored(object, kind), kind, object.color ? colored(object, "object") : kind];
}

/** Relative frequencies of the names by color and kind, by kind alone, by color alone. */
const NAME_WEIGHTS = [0.7, 0.18, 0.12] as const;

function presentThing(scene: Scene, random: Random): string | null {
  if (scene.objects.length === 0) return null;
  return namesOf(random.pick(scene.objects))[random.weighted(NAME_WEIGHTS)] ?? null;
}

/** A name of something absent; most often its color or its shape, or each on different objects, is present. */
function absentThing(scene: Scene, random: Random, options: QuestionOptions): string | null {
  const present = new Set(scene.objects.flatMap(namesOf));
  const level = random.weighted(NAME_WEIGHTS);
  for (let tries = 0; tries < 12; tries++) {
    const { color, kind } = likelyPair(scene, random);
    const noun = [`${color} ${kind}`, kind, `${color} object`][level] ?? kind;
    const isSecret = level === 0 && kind !== "letter" && kind !== "digit" && isHeldOut(color, kind);
    if (!present.has(noun) && (!isSecret || mayMentionHeldOut(options.split))) return noun;
  }
  return null;
}

function likelyPair(scene: Scene, random: Random): { color: Color; kind: Shape | "letter" | "digit" } {
  const choice = scene.objects.length === 0 ? 3 : random.weighted([0.5, 0.22, 0.22, 0.06]);
  const hasColor = choice === 0 || choice === 1;
  const hasKind = choice === 0 || choice === 2;
  const anyKind = random.chance(0.1) ? random.pick(["letter", "digit"] as const) : random.pick(SHAPES);
  const color = (hasColor ? random.pick(scene.objects).color : null) ?? random.pick(COLORS);
  if (!hasKind) return { color, kind: anyKind };
  const model = random.pick(scene.objects);
  return { color, kind: model.kind === "shape" ? model.shape : characterClass(model) };
}
