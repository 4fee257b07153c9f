/** Which drawings show a pair of colour and shape that training never drew. */
import { isHeldOut } from "@llava/demo/scenes";
import type { Scene } from "@llava/demo/scenes";

export function isUnseen(scene: Scene): boolean {
  return unseenPair(scene) !== null;
}

/** "purple circle"; null when training drew them all. */
export function unseenPair({ objects }: Scene): string | null {
  for (const object of objects)
    if (object.kind === "shape" && isHeldOut(object.color, object.shape))
      return `${object.color} ${object.shape}`;
  return null;
}
