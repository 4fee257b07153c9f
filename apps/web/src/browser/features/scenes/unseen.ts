/** Finds scenes that show a pair of colour and shape which training never drew. */
import { isHeldOut } from "@llava/demo/scenes";
import type { Scene } from "@llava/demo/scenes";

export function isUnseen(scene: Scene): boolean {
  return unseenPair(scene) !== null;
}

/** The pair, such as "purple circle"; null when training drew all pairs of the scene. */
export function unseenPair({ objects }: Scene): string | null {
  for (const object of objects)
    if (object.kind === "shape" && isHeldOut(object.color, object.shape))
      return `${object.color} ${object.shape}`;
  return null;
}
