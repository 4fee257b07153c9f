/** Reads from a model's card which square of pixels the model sees, and computes which part of an image lies in it. */
import { placeImage } from "@llava/processing/view";
import type { SquareShape } from "@llava/processing/view";
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

const WHOLE: Box = { left: 0, top: 0, width: 1, height: 1 };

/** The part of an image that lies in the model's square. */
export function seenBox(width: number, height: number, size: number, shape: SquareShape): Box {
  if (shape !== "crop") return WHOLE;
  const { resizedWidth, resizedHeight, cropLeft, cropTop } = placeImage(width, height, { size, shape });
  return {
    left: cropLeft / resizedWidth,
    top: cropTop / resizedHeight,
    width: size / resizedWidth,
    height: size / resizedHeight,
  };
}

/** The part of the model's square that the image fills: less than the whole when the image is padded. */
export function filledBox(width: number, height: number, shape: SquareShape): Box {
  if (shape !== "pad") return WHOLE;
  const side = Math.max(width, height);
  const left = Math.floor((side - width) / 2) / side;
  const top = Math.floor((side - height) / 2) / side;
  return { left, top, width: width / side, height: height / side };
}
