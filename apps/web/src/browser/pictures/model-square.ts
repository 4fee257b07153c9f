/** What a model's card says of the square that it sees, and which part of a picture lies in it. */
import { CLIP_MEAN, planTiles } from "@llava/processing/view";
import type { SquareShape, Tile } from "@llava/processing/view";
import type { ModelCard } from "@llava/protocol/browser";

import type { ImageMode } from "../chat/types.ts";

export interface ModelSquare {
  /** Edge, pixels. */
  readonly size: number;
  /** What becomes of pictures whose mode is `default`. */
  readonly shape: SquareShape;
  /** Positions that a picture takes in the context; null where the card does not say. */
  readonly tokens: number | null;
}

/** Null for a model whose card does not say what it sees: then the page says nothing of it either, and offers no modes. */
export function modelSquare(card: ModelCard | undefined): ModelSquare | null {
  if (card?.image_size === undefined || card.image_aspect_ratio === undefined) return null;
  return { size: card.image_size, shape: card.image_aspect_ratio, tokens: card.tokens_per_image ?? null };
}

export function shapeOf(mode: ImageMode, { shape }: ModelSquare): SquareShape {
  return mode === "default" ? shape : mode;
}

/** A box, each value as a share of a whole from 0 to 1. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The part of a picture that the model's square shows. */
export function seenBox(width: number, height: number, size: number, shape: SquareShape): Box {
  const { scaledWidth, scaledHeight, left, top } = squareOf(width, height, size, shape);
  return {
    left: left / scaledWidth,
    top: top / scaledHeight,
    width: size / scaledWidth,
    height: size / scaledHeight,
  };
}

/** The part of the model's square that the picture fills: less than the whole when it is padded. */
export function filledBox(width: number, height: number, size: number, shape: SquareShape): Box {
  const { source } = squareOf(width, height, size, shape);
  return {
    left: (0 - source.x) / source.width,
    top: (0 - source.y) / source.height,
    width: width / source.width,
    height: height / source.height,
  };
}

/** The first tile of the plan by which the worker prepares the picture. */
function squareOf(width: number, height: number, size: number, shape: SquareShape): Tile {
  const [tile] = planTiles({ width, height }, { size, shape, mean: CLIP_MEAN }).tiles;
  if (tile === undefined) throw new RangeError("A plan has at least one tile.");
  return tile;
}
