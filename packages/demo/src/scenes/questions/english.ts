/** Forms articles, plurals, lists and names of objects for questions, captions and descriptions. */
import type { CharacterObject, Scene, SceneObject } from "../drawing/scene.ts";
import type { Place } from "../drawing/vocabulary.ts";

const NUMBER_WORDS = ["zero", "one", "two", "three", "four", "five"] as const;

/** The word for 0 to 5. */
export function numberWord(count: number): string {
  const word = NUMBER_WORDS[count];
  if (word === undefined) throw new RangeError(`The demo counts from 0 to 5, not ${count}.`);
  return word;
}

export function withArticle(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}

export function plural(noun: string): string {
  return noun.endsWith("ss") ? `${noun}es` : `${noun}s`;
}

/** "a", "a and b", "a, b and c". */
export function listed(parts: readonly string[]): string {
  if (parts.length < 2) return parts.join("");
  return `${parts.slice(0, -1).join(", ")} and ${parts.at(-1) ?? ""}`;
}

export function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

export function characterClass(object: CharacterObject): "letter" | "digit" {
  return /\d/.test(object.character) ? "digit" : "letter";
}

/** The name of an object without its color: "circle", "letter K". */
export function nounOf(object: SceneObject): string {
  return object.kind === "shape" ? object.shape : `${characterClass(object)} ${object.character}`;
}

/** The noun after the object's color, if the color has a name: "red circle". */
export function colored({ color }: SceneObject, noun: string): string {
  return color ? `${color} ${noun}` : noun;
}

/** "at the top left", "in the center". */
export function atPlace(place: Place): string {
  return place === "center" ? "in the center" : `at the ${place}`;
}

/**
 * Every short name that fits one object of the scene and no other: its kind, its color or both. No name contains the
 * `hidden` look, which is the one that the question asks for.
 */
export function references(scene: Scene, object: SceneObject, hidden: "color" | "shape" | null): string[] {
  const names = nouns(object, hidden === "shape");
  const found: string[] = [];
  for (const { noun, fits } of names) {
    const others = scene.objects.filter((other) => other !== object && fits(other));
    if (others.length === 0) found.push(`the ${noun}`);
    const isAlone = others.every((other) => other.color !== object.color);
    if (hidden !== "color" && object.color && isAlone) found.push(`the ${object.color} ${noun}`);
  }
  return found;
}

interface Noun {
  readonly noun: string;
  readonly fits: (object: SceneObject) => boolean;
}

function nouns(object: SceneObject, isShapeHidden: boolean): Noun[] {
  const anything: Noun = { noun: "object", fits: () => true };
  if (isShapeHidden) return [anything];
  if (object.kind === "shape") {
    const own: Noun = {
      noun: object.shape,
      fits: (other) => other.kind === "shape" && other.shape === object.shape,
    };
    return [own, anything];
  }
  const kind = characterClass(object);
  return [
    { noun: kind, fits: (other) => other.kind === "character" && characterClass(other) === kind },
    { noun: "character", fits: (other) => other.kind === "character" },
    anything,
  ];
}
