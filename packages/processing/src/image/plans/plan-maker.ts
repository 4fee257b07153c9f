/** Names what every way of cutting images into tiles has to provide; image-plan.ts has the table of them. */
import type { FeatureRun } from "./feature-layout.ts";
import type { ImageSize, Tile } from "./tile.ts";

/** What the makers of plans read of a model. */
export interface TileTarget {
  /** Edge of the square that the vision tower sees, pixels. */
  readonly size: number;
  /** Mean of each channel, 0 to 1: the colour of LLaVA's padding. */
  readonly mean: readonly [number, number, number];
}

/** Which squares the vision tower sees of one image. */
export interface TilePlan {
  /** The upright image, pixels. */
  readonly image: ImageSize;
  /** At least one. The first shows the whole image, or all of it that the model ever sees. */
  readonly tiles: readonly Tile[];
  /** Tiles that lie side by side, row by row: the last `rows * columns` of the tiles. */
  readonly grid: { readonly rows: number; readonly columns: number };
  /** Colour beyond the edges of the image, 0 to 255. */
  readonly fill: readonly [number, number, number];
}

/** One way of making plans. */
export interface PlanMaker {
  tiles(image: ImageSize, target: TileTarget): TilePlan;
  /** Which rows of the tiles' features stand in the prompt, and in which order. */
  layout(plan: TilePlan, tokensPerTile: number): readonly FeatureRun[];
  /** Most positions that an image of any size takes in the prompt. */
  mostTokens(target: TileTarget, tokensPerTile: number): number;
}
