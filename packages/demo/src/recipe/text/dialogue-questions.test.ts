import { expect, test } from "vitest";

import {
  COLORS,
  fullName,
  type Kind,
  KINDS,
  type Question,
  questionFor,
  Random,
  type Scene,
  type SceneObject,
  sceneOf,
  SHAPES,
} from "../../scenes/index.ts";
import { dialogue } from "./dialogue.ts";

const NOUNS = ["object", "character", "letter", "digit", ...SHAPES];
const WORDS = ["zero", "one", "two", "three", "four", "five"];
const THING = new RegExp(
  `(?:(small|large) )?(?:(solid|striped) )?(?:(${COLORS.join("|")}) )?(${NOUNS.join("|")})(?:e?s)?\\b(?: ([A-Z0-9])\\b)?`,
  "g",
);

/** Everything of the scene that the words "red circles" or "small striped objects" can mean. */
function meant(
  scene: Scene,
  [size, texture, color, noun = "", character]: readonly (string | undefined)[],
): SceneObject[] {
  const isNoun = (object: SceneObject): boolean => {
    if (noun === "object") return true;
    if (object.kind === "shape") return object.shape === noun;
    const isDigit = "0123456789".includes(object.character);
    return noun === "character" || noun === (isDigit ? "digit" : "letter");
  };
  return scene.objects.filter(
    (object) =>
      isNoun(object) &&
      (character === undefined || (object.kind === "character" && object.character === character)) &&
      (color ?? object.color) === object.color &&
      (size ?? object.size) === object.size &&
      (texture === undefined || (object.kind === "shape" && object.texture === texture)),
  );
}

function side(value: number, names: readonly string[]): string {
  return names[Math.min(2, Math.floor(value / 32))]!;
}

/** The answer worked out from nothing but the words of the question and the scene; throws where they are ambiguous. */
function solve(scene: Scene, kind: Kind, text: string): string {
  const things = [...text.matchAll(THING)].map(([, ...words]) => meant(scene, words));
  const only = (index: number): SceneObject => {
    const found = things[index] ?? [];
    if (found.length !== 1) throw new Error(`"${text}" means ${found.length} objects.`);
    return found[0]!;
  };
  switch (kind) {
    case "exist":
      return things[0]!.length > 0 ? "yes" : "no";
    case "count_all":
      return WORDS[scene.objects.length]!;
    case "count_color":
    case "count_shape":
      return WORDS[things[0]!.length]!;
    case "compare":
      return things[0]!.length > things[1]!.length ? "yes" : "no";
    case "color":
      return only(0).color ?? "?";
    case "shape":
    case "size":
    case "texture": {
      const object = only(0);
      if (object.kind !== "shape") throw new Error(`"${text}" asks for the ${kind} of a character.`);
      return object[kind];
    }
    case "relation_x":
      return only(0).x < only(1).x ? "left" : "right";
    case "relation_y":
      return only(0).y < only(1).y ? "above" : "below";
    case "where": {
      const { x, y } = only(0);
      const place = `${side(y, ["top", "middle", "bottom"])} ${side(x, ["left", "center", "right"])}`;
      return place === "middle center" ? "center" : place;
    }
    case "read": {
      const [character, ...others] = scene.objects.filter((object) => object.kind === "character");
      if (!character || others.length > 0) throw new Error("Not one character.");
      return character.character;
    }
    case "nothing":
      return scene.objects.length === 0 ? "nothing" : "?";
    case "describe":
    case "identity":
      throw new Error(`${kind} is checked elsewhere.`);
    default:
      return kind satisfies never;
  }
}

const SOLVED = KINDS.filter((kind) => kind !== "describe" && kind !== "identity");

function* asked(kind: Kind, count: number): Generator<{ scene: Scene; question: Question }> {
  for (let i = 0; i < count; i++) {
    const isMixed = i % 3 === 0;
    const scene = sceneOf(i % 2 === 0 ? "train" : "test", i, isMixed ? 0.4 : 0);
    const wording = i % 5 === 0 ? "unseen" : "trained";
    const options = { wording, detailShare: isMixed ? 0.7 : 0 } as const;
    const question = questionFor(scene, kind, Random.of(i, kind), options);
    if (question) yield { scene, question };
  }
}

test.each(SOLVED)("answers of kind %s follow from the scene and the words", (kind) => {
  let count = 0;
  for (const { scene, question } of asked(kind, kind === "nothing" ? 8000 : 2000)) {
    if (solve(scene, kind, question.text) !== question.short)
      expect.fail(`${question.text} → ${question.short}`);
    count++;
  }
  expect(count).toBeGreaterThan(150);
});

test("sentences say the same as short answers", () => {
  for (const kind of SOLVED) {
    for (const { question } of asked(kind, 300)) {
      const { short, sentence } = question;
      const said = short === "zero" ? "no" : short;
      expect(sentence).toMatch(/^[A-Z].*[a-zA-Z0-9]\.$/);
      if (short === "yes" || short === "no")
        expect(sentence.toLowerCase()).toMatch(new RegExp(`^${short}, there (is|are) `));
      else expect(sentence).toMatch(new RegExp(`\\b${said}\\b`));
    }
  }
});

test("in a dialogue, too, the answers of full questions follow from the words", () => {
  for (let i = 0; i < 600; i++) {
    const scene = sceneOf("test", i);
    for (const { kind, question, short } of dialogue(scene, Random.of(i, "dialogue"))) {
      const leansOnEarlier = /^(and|what about|how about) |\b(it|its)\b|ones?\b/i.test(
        question.split("\n")[0]!,
      );
      if (leansOnEarlier || kind === "describe" || kind === "identity") continue;
      expect(solve(scene, kind, question), question).toBe(short);
    }
  }
});

test("a description names every object once, with its looks and in reading order", () => {
  for (const { scene, question } of asked("describe", 400)) {
    if (new Set(scene.objects.map(fullName)).size < scene.objects.length) continue;
    const places = scene.objects.map((object) => Math.floor(object.y / 32) * 3 + Math.floor(object.x / 32));
    const said = scene.objects.map((object) => question.sentence.indexOf(fullName(object)));
    expect(Math.min(...said)).toBeGreaterThan(0);
    places.forEach((_, i) =>
      places.forEach((_, j) => {
        if (places[i]! < places[j]!) expect(said[i]).toBeLessThan(said[j]!);
      }),
    );
    expect(question.sentence.match(/ (at the|in the) /g)).toHaveLength(scene.objects.length);
  }
});

test("places and relations are asked only where they are beyond doubt", () => {
  for (const { question } of asked("where", 1000)) {
    const [object] = question.about;
    for (const value of [object!.x, object!.y]) {
      expect(Math.min(Math.abs(value - 32), Math.abs(value - 64))).toBeGreaterThanOrEqual(4);
    }
  }
  for (const axis of ["x", "y"] as const) {
    for (const { question } of asked(`relation_${axis}`, 1000)) {
      expect(Math.abs(question.about[0]![axis] - question.about[1]![axis])).toBeGreaterThanOrEqual(10);
    }
  }
});
