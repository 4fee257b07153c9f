/**
 * What a model sees of an image, from pixels to pixels: apart because a page shows it too, with the very code that the
 * worker prepares images with. Runs in a browser. `@llava/model/view`.
 */
import { placeImage, type SquareShape } from "./geometry.ts";
import { type Image, resampleImage, type Turns } from "./resample.ts";

export { type Placement, placeImage, type SquareShape } from "./geometry.ts";
export type { Image, Turns } from "./resample.ts";

/** openai/clip-vit-large-patch14-336. */
export const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073] as const;

export interface SquareDescription {
  /** Edge of the square that the tower sees, pixels. */
  readonly size: number;
  readonly shape: SquareShape;
  /** Of each channel, 0 to 1: what lies beside a padded image. */
  readonly mean: readonly [number, number, number];
}

/** [size, size, 3]. */
export async function modelView(
  image: Image,
  description: SquareDescription,
  turns: Turns,
): Promise<Uint8Array> {
  const placement = placeImage(image.width, image.height, description);
  return await resampleImage(image, placement, paddingColour(description.mean), turns);
}

/** LLaVA's int(mean * 255): CLIP's mean is (122, 116, 104). */
function paddingColour(mean: readonly [number, number, number]): [number, number, number] {
  return [Math.trunc(mean[0] * 255), Math.trunc(mean[1] * 255), Math.trunc(mean[2] * 255)];
}
