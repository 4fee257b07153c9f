/** Describes the squares that a vision tower sees of an image: which pixels of the image each of them shows. */

/** Width and height of an upright image, pixels. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/** A part of a plane, pixels; not always whole ones. */
export interface Box extends ImageSize {
  readonly x: number;
  readonly y: number;
}

/**
 * One square of the vision tower: `source` is resized to `scaledWidth` × `scaledHeight`, and the square is cut out of
 * that. Both may reach beyond what they are cut from, where the plan's fill colour lies: around `source` before the
 * resize, as LLaVA pads; around the scaled image after it, as LLaVA-NeXT does. All values are whole pixels.
 */
export interface Tile {
  /** Part of the upright image. */
  readonly source: Box;
  readonly scaledWidth: number;
  readonly scaledHeight: number;
  /** Where the square begins in the scaled image. */
  readonly left: number;
  readonly top: number;
  /** Edge of the square. */
  readonly size: number;
}

/** The part of the image that the square shows, in the image's pixels; beyond its edges where it was padded. */
export function boxInImage(tile: Tile): Box {
  const { source, scaledWidth, scaledHeight, left, top, size } = tile;
  const across = source.width / scaledWidth;
  const down = source.height / scaledHeight;
  return {
    x: source.x + left * across,
    y: source.y + top * down,
    width: size * across,
    height: size * down,
  };
}

/** The part of the square that shows a box of the image, in whole pixels of the square, as far as it shows any of it. */
function boxInSquare(box: Box, tile: Tile): Box {
  const shown = boxInImage(tile);
  const { size } = tile;
  const at = (place: number, start: number, length: number): number =>
    Math.min(size, Math.max(0, Math.round(((place - start) * size) / length)));
  const [left, right] = [at(box.x, shown.x, shown.width), at(box.x + box.width, shown.x, shown.width)];
  const [top, bottom] = [at(box.y, shown.y, shown.height), at(box.y + box.height, shown.y, shown.height)];
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** The part of the square that shows the image; the rest is padding. */
export function imageInSquare({ width, height }: ImageSize, tile: Tile): Box {
  return boxInSquare({ x: 0, y: 0, width, height }, tile);
}

/** The part of the square `to` that shows the same part of the image as `box` in the square `from`. */
export function boxInOtherSquare(box: Box, from: Tile, to: Tile): Box {
  const shown = boxInImage(from);
  const across = shown.width / from.size;
  const down = shown.height / from.size;
  const inImage = {
    x: shown.x + box.x * across,
    y: shown.y + box.y * down,
    width: box.width * across,
    height: box.height * down,
  };
  return boxInSquare(inImage, to);
}
