/** Computes the rectangle of an image that is being cropped, in whole pixels. */

export interface CropRect {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A corner of a rectangle, by the edges that meet in it. */
export interface Corner {
  readonly isRight: boolean;
  readonly isBottom: boolean;
}

/** Shortest edge, pixels; nothing can be recognized on less. */
const LEAST = 16;

export function wholeOf({ width, height }: Size): CropRect {
  return { left: 0, top: 0, width, height };
}

export function isWhole(rect: CropRect, size: Size): boolean {
  return rect.width === size.width && rect.height === size.height;
}

/** The rectangle moved as far as the image allows. */
export function moved(rect: CropRect, size: Size, by: Point): CropRect {
  return {
    ...rect,
    left: clamp(Math.round(rect.left + by.x), 0, size.width - rect.width),
    top: clamp(Math.round(rect.top + by.y), 0, size.height - rect.height),
  };
}

/** The rectangle with one corner at a point and the opposite corner where it was. */
export function cornerAt(rect: CropRect, size: Size, corner: Corner, point: Point): CropRect {
  const [left, width] = edges(rect.left, rect.width, size.width, corner.isRight, point.x);
  const [top, height] = edges(rect.top, rect.height, size.height, corner.isBottom, point.y);
  return { left, top, width, height };
}

/** The corner nearest to a point, and its distance in pixels. */
export function nearestCorner(
  rect: CropRect,
  point: Point,
): { readonly corner: Corner; readonly distance: number } {
  const corner = {
    isRight: point.x > rect.left + rect.width / 2,
    isBottom: point.y > rect.top + rect.height / 2,
  };
  const x = rect.left + (corner.isRight ? rect.width : 0);
  const y = rect.top + (corner.isBottom ? rect.height : 0);
  return { corner, distance: Math.hypot(point.x - x, point.y - y) };
}

export function contains({ left, top, width, height }: CropRect, { x, y }: Point): boolean {
  return x >= left && x <= left + width && y >= top && y <= top + height;
}

/** Start and length along one axis when the near or the far end is put at `wanted`. */
function edges(
  start: number,
  length: number,
  size: number,
  isFar: boolean,
  wanted: number,
): readonly [number, number] {
  const least = Math.min(LEAST, size);
  const end = start + length;
  if (isFar) return [start, clamp(Math.round(wanted), Math.min(start + least, size), size) - start];
  const near = clamp(Math.round(wanted), 0, Math.max(end - least, 0));
  return [near, end - near];
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}
