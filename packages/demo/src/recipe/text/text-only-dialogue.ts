/** Makes dialogues about a scene that the first question describes in words, so that the language model learns to look things up. */
import {
  atPlace,
  type Axis,
  capitalized,
  cellOf,
  colored,
  fullName,
  nounOf,
  placeOf,
  type Random,
  type Scene,
  type SceneObject,
} from "../../scenes/index.ts";
import { dialogue } from "./dialogue.ts";
import type { DialogueOptions, Turn } from "./dialogue.ts";
import { PATCH_SIZE } from "../vision/patch-labels.ts";

/** A dialogue as `dialogue` makes it; a description of the scene, in one of several forms, precedes its first question. */
export function textOnlyDialogue(scene: Scene, random: Random, options: DialogueOptions = {}): Turn[] {
  const form: Form = { name: random.pick(["list", "lines", "fields"]), hasNumbers: random.chance(0.5) };
  const turns = dialogue(scene, random, {
    isApart: (a, b, axis) => isApartInWords(a, b, axis, form),
    isPlaced: () => true,
    ...options,
  });
  const description = inWords(scene, random, form);
  return turns.map((turn, i) => (i === 0 ? { ...turn, question: `${description}\n${turn.question}` } : turn));
}

interface Form {
  readonly name: "list" | "lines" | "fields";
  /** Whether the description has columns and rows of the patch grid besides the place. */
  readonly hasNumbers: boolean;
}

/** Whether the order of two objects follows from the description: in one column neither is left or right of the other. */
function isApartInWords(a: SceneObject, b: SceneObject, axis: Axis, form: Form): boolean {
  if (form.hasNumbers) return patchIndex(a[axis]) !== patchIndex(b[axis]);
  const along = (object: SceneObject): number =>
    axis === "x" ? cellOf(object) % 3 : Math.floor(cellOf(object) / 3);
  return along(a) !== along(b);
}

function inWords(scene: Scene, random: Random, form: Form): string {
  const objects = random.shuffle(scene.objects);
  if (objects.length === 0) return "Objects: nothing.";
  switch (form.name) {
    case "list":
      return `Objects: ${objects.map((object) => inProse(object, form)).join(", ")}.`;
    case "lines":
      return objects.map((object) => `${capitalized(inProse(object, form))}.`).join("\n");
    case "fields":
      return objects.map((object) => inFields(object, form)).join("\n");
    default:
      return form.name satisfies never;
  }
}

function inProse(object: SceneObject, form: Form): string {
  const numbers = form.hasNumbers ? `, column ${column(object)} row ${row(object)}` : "";
  return `${fullName(object)} ${atPlace(placeOf(object))}${numbers}`;
}

function inFields(object: SceneObject, form: Form): string {
  const looks = object.kind === "shape" ? `${object.size} ${object.texture} ` : "";
  const numbers = form.hasNumbers ? ` ${column(object)} ${row(object)}` : "";
  return `${looks}${colored(object, nounOf(object))}: ${placeOf(object)}${numbers}`;
}

function column(object: SceneObject): number {
  return 1 + patchIndex(object.x);
}

function row(object: SceneObject): number {
  return 1 + patchIndex(object.y);
}

function patchIndex(value: number): number {
  return Math.floor(value / PATCH_SIZE);
}
