/** Makes plans of one tile: an image that is no square becomes one by padding, by cropping or by squashing. */
import { tilesInOrder } from "./feature-layout.ts";
import type { PlanMaker } from "./plan-maker.ts";
import type { ImageSize, Tile } from "./tile.ts";

/**
 * The image on a square of the mean colour, then resized. LLaVA's expand2square (llava/mm_utils.py), which centres with
 * a floor.
 */
export const padPlan = oneTile(({ width, height }, size) => {
  const side = Math.max(width, height);
  const source = {
    x: 0 - Math.floor((side - width) / 2),
    y: 0 - Math.floor((side - height) / 2),
    width: side,
    height: side,
  };
  return { source, scaledWidth: size, scaledHeight: size, left: 0, top: 0, size };
});

/** The middle of the image: CLIP's processor brings the shorter edge to `size`, truncates the longer one, and crops. */
export const cropPlan = oneTile(({ width, height }, size) => {
  const longer = Math.trunc((size * Math.max(width, height)) / Math.min(width, height));
  const scaledWidth = width <= height ? size : longer;
  const scaledHeight = width <= height ? longer : size;
  return {
    source: { x: 0, y: 0, width, height },
    scaledWidth,
    scaledHeight,
    left: Math.floor((scaledWidth - size) / 2),
    top: Math.floor((scaledHeight - size) / 2),
    size,
  };
});

/** The whole image with both edges brought to `size`, which changes its proportions. */
export const resizePlan = oneTile(({ width, height }, size) => {
  const source = { x: 0, y: 0, width, height };
  return { source, scaledWidth: size, scaledHeight: size, left: 0, top: 0, size };
});

function oneTile(place: (image: ImageSize, size: number) => Tile): PlanMaker {
  return {
    tiles: (image, { size, mean }) => ({
      image: { width: image.width, height: image.height },
      tiles: [place(image, size)],
      grid: { rows: 1, columns: 1 },
      fill: paddingColour(mean),
    }),
    layout: ({ tiles }, tokensPerTile) => tilesInOrder(tiles.length, tokensPerTile),
    mostTokens: (_target, tokensPerTile) => tokensPerTile,
  };
}

/** LLaVA's int(mean * 255): CLIP's mean is (122, 116, 104). */
function paddingColour(mean: readonly [number, number, number]): [number, number, number] {
  return [Math.trunc(mean[0] * 255), Math.trunc(mean[1] * 255), Math.trunc(mean[2] * 255)];
}
