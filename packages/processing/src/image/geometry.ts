/** Where each pixel of the model's square comes from: plain arithmetic, apart from the filter that does the work. */

/**
 * How an image that is no square becomes one. "pad": onto a square of the mean colour; "crop": the shorter edge resized and
 * the centre cut out, as CLIP's processor does; "resize": squashed to a square. LLaVA's page calls them Pad, Crop and Resize.
 */
export type SquareShape = "pad" | "crop" | "resize";

/**
 * The image lies at `offset` on a canvas; the canvas is resized; a square of `size` is cut out of the result.
 * All values in pixels. A padded image has a canvas larger than itself and no cut, any other the reverse.
 */
export interface Placement {
  readonly canvasWidth: number;
  readonly canvasHeight: number;
  readonly offsetX: number;
  readonly offsetY: number;
  readonly resizedWidth: number;
  readonly resizedHeight: number;
  readonly cropLeft: number;
  readonly cropTop: number;
  readonly size: number;
}

/**
 * "pad": LLaVA's expand2square, centred with a floor. "crop": CLIP's processor, the shorter edge to `size` exactly,
 * the longer one truncated, then the centre. "resize": both edges to `size`, whatever becomes of the proportions.
 */
export function placeImage(
  width: number,
  height: number,
  { size, shape }: { readonly size: number; readonly shape: SquareShape },
): Placement {
  if (shape === "resize") return wholeImage(width, height, size, size, size);
  if (shape === "pad") {
    const side = Math.max(width, height);
    return {
      canvasWidth: side,
      canvasHeight: side,
      offsetX: Math.floor((side - width) / 2),
      offsetY: Math.floor((side - height) / 2),
      resizedWidth: size,
      resizedHeight: size,
      cropLeft: 0,
      cropTop: 0,
      size,
    };
  }
  const longer = Math.trunc((size * Math.max(width, height)) / Math.min(width, height));
  const resizedWidth = width <= height ? size : longer;
  const resizedHeight = width <= height ? longer : size;
  return wholeImage(width, height, resizedWidth, resizedHeight, size);
}

function wholeImage(
  width: number,
  height: number,
  resizedWidth: number,
  resizedHeight: number,
  size: number,
): Placement {
  return {
    canvasWidth: width,
    canvasHeight: height,
    offsetX: 0,
    offsetY: 0,
    resizedWidth,
    resizedHeight,
    cropLeft: Math.floor((resizedWidth - size) / 2),
    cropTop: Math.floor((resizedHeight - size) / 2),
    size,
  };
}

/** A part of a plane, pixels; not always whole ones. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The part of the image that the square shows, in the image's pixels; beyond its edges where it was padded. */
export function boxInImage(placement: Placement): Box {
  const { canvasWidth, canvasHeight, offsetX, offsetY, resizedWidth, resizedHeight, size } = placement;
  const across = canvasWidth / resizedWidth;
  const down = canvasHeight / resizedHeight;
  return {
    x: placement.cropLeft * across - offsetX,
    y: placement.cropTop * down - offsetY,
    width: size * across,
    height: size * down,
  };
}

/** The part of the square that shows an image of so many pixels, in whole pixels of the square; the rest is padding. */
export function boxInSquare(width: number, height: number, placement: Placement): Box {
  const seen = boxInImage(placement);
  const { size } = placement;
  const at = (place: number, start: number, length: number): number =>
    Math.min(size, Math.max(0, Math.round(((place - start) * size) / length)));
  const [left, right] = [at(0, seen.x, seen.width), at(width, seen.x, seen.width)];
  const [top, bottom] = [at(0, seen.y, seen.height), at(height, seen.y, seen.height)];
  return { x: left, y: top, width: right - left, height: bottom - top };
}
