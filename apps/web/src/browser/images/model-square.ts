/** Reads from a model's card which square of pixels the model sees, and computes which part of an image lies in it. */
import { CLIP_MEAN, planTiles } from "@llava/processing/view";
import type { SquareShape, Tile } from "@llava/processing/view";
import type { ModelCard } from "@llava/protocol/browser";

import type { ImageMode } from "../services/store/records.ts";

export interface ModelSquare {
  /** Edge length, pixels. */
  readonly size: number;
  /** How an image whose mode is `default` is fitted into the square. */
  readonly shape: SquareShape;
  /** Number of tokens that an image takes in the context; null where the card does not state it. */
  readonly tokens: number | null;
}

/** Null for a model whose card does not describe its input: then the page neither describes it nor offers modes. */
export function modelSquare(card: ModelCard | undefined): ModelSquare | null {
  if (card?.image_size === undefined || card.image_aspect_ratio === undefined) return null;
  return { size: card.image_size, shape: card.image_aspect_ratio, tokens: card.tokens_per_image ?? null };
}

export function shapeOf(mode: ImageMode, { shape }: ModelSquare): SquareShape {
  return mode === "default" ? shape : mode;
}

/** A box whose values are shares of a whole, from 0 to 1. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The part of an image that lies in the model's square. */
export function seenBox(width: number, height: number, size: number, shape: SquareShape): Box {
  const { scaledWidth, scaledHeight, left, top } = squareOf(width, height, size, shape);
  return {
    left: left / scaledWidth,
    top: top / scaledHeight,
    width: size / scaledWidth,
    height: size / scaledHeight,
  };
}

/** The part of the model's square that the image fills: less than the whole when the image is padded. */
export function filledBox(width: number, height: number, size: number, shape: SquareShape): Box {
  const { source } = squareOf(width, height, size, shape);
  return {
    left: (0 - source.x) / source.width,
    top: (0 - source.y) / source.height,
    width: width / source.width,
    height: height / source.height,
  };
}

/** The first tile of the plan by which the worker prepares the image. */
function squareOf(width: number, height: number, size: number, shape: SquareShape): Tile {
  const [tile] = planTiles({ width, height }, { size, shape, mean: CLIP_MEAN }).tiles;
  if (tile === undefined) throw new RangeError("A plan has at least one tile.");
  return tile;
}
