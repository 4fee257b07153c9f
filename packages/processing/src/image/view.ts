/**
 * Draws what a model sees of an image, from pixels to pixels, with the code that the worker prepares images with. Runs in
 * a browser, where the page shows it: `@llava/processing/view`.
 */
import { planTiles, type ShapedTarget } from "./plans/image-plan.ts";
import { type Image, resampleImage, type Turns } from "./resample.ts";

export { planTiles, type ShapedTarget, type SquareShape } from "./plans/image-plan.ts";
export type { Tile } from "./plans/tile.ts";
export type { Image, Turns } from "./resample.ts";

/** openai/clip-vit-large-patch14-336, preprocessor_config.json. */
export const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073] as const;

/** The tiles of the image's plan, [size, size, 3] each. */
export async function modelView(image: Image, target: ShapedTarget, turns: Turns): Promise<Uint8Array[]> {
  const { tiles, fill } = planTiles(image, target);
  const views: Uint8Array[] = [];
  for (const tile of tiles) views.push(await resampleImage(image, tile, fill, turns));
  return views;
}
