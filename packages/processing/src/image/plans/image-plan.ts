/** Plans an image from its size alone, before a pixel is decoded: the tower's tiles and the image's place in the prompt. */
import { countTokens, type FeatureRun } from "./feature-layout.ts";
import type { PlanMaker, TilePlan, TileTarget } from "./plan-maker.ts";
import { cropPlan, padPlan, resizePlan } from "./square-plans.ts";
import type { ImageSize } from "./tile.ts";

/** Every way of making plans. LLaVA's page calls these three Pad, Crop and Resize. */
const MAKERS = {
  pad: padPlan,
  crop: cropPlan,
  resize: resizePlan,
} satisfies Readonly<Record<string, PlanMaker>>;

/** The key of a plan maker: what a model's configuration or a request says becomes of an image that is no square. */
export type SquareShape = keyof typeof MAKERS;

/** What tiles are made for: a model's pixel description, as far as it decides on geometry. */
export interface ShapedTarget extends TileTarget {
  readonly shape: SquareShape;
}

/** The tiles of an image and its place in the prompt. */
export interface ImagePlan extends TilePlan {
  /** Rows of features that the vision tower makes of one tile. */
  readonly tokensPerTile: number;
  /** The image's positions in the prompt, in order. */
  readonly layout: readonly FeatureRun[];
  /** Number of these positions: what the image costs of the model's context. */
  readonly numTokens: number;
}

/** The tiles alone, for programs that show what a model sees. */
export function planTiles(image: ImageSize, target: ShapedTarget): TilePlan {
  return MAKERS[target.shape].tiles(image, target);
}

/** @param tokensPerTile rows of features that the vision tower makes of one tile */
export function planImage(image: ImageSize, target: ShapedTarget, tokensPerTile: number): ImagePlan {
  const plan = planTiles(image, target);
  const layout = MAKERS[target.shape].layout(plan, tokensPerTile);
  return { ...plan, tokensPerTile, layout, numTokens: countTokens(layout) };
}

/** Most positions that an image of any size takes in the prompt. */
export function mostTokens(target: ShapedTarget, tokensPerTile: number): number {
  return MAKERS[target.shape].mostTokens(target, tokensPerTile);
}
