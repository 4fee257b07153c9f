/** Describes a scene in one sentence; the order of the objects is that of reading, so that one sentence is right. */
import { cellOf, placeOf } from "../drawing/scene.ts";
import type { Scene, SceneObject } from "../drawing/scene.ts";
import { atPlace, colored, listed, nounOf, withArticle } from "./english.ts";

/** "There is a large red circle at the top left and the letter K in blue in the center." */
export function caption(scene: Scene): string {
  return `There is ${listed(inReadingOrder(scene).map((object) => `${fullName(object)} ${atPlace(placeOf(object))}`))}.`;
}

/** "a red circle and the letter K" */
export function shortCaption(scene: Scene): string {
  return listed(inReadingOrder(scene).map(shortName));
}

/** The objects from top to bottom and left to right by the cells of the 3×3 grid, within a cell from top to bottom. */
function inReadingOrder(scene: Scene): SceneObject[] {
  return scene.objects.toSorted((a, b) => cellOf(a) - cellOf(b) || a.y - b.y);
}

/** "a small striped red circle", "the letter K in blue" */
export function fullName(object: SceneObject): string {
  if (object.kind === "character") return `the ${nounOf(object)}${object.color ? ` in ${object.color}` : ""}`;
  const looks = object.texture === "striped" ? `${object.size} striped` : object.size;
  return `a ${looks} ${colored(object, object.shape)}`;
}

function shortName(object: SceneObject): string {
  return object.kind === "character" ? `the ${nounOf(object)}` : withArticle(colored(object, object.shape));
}
