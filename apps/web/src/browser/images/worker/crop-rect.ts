/** A part of an image that is being chosen, in whole pixels; apart because it is pure. */

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

/** Which of a part's edges meet in it. */
export interface Corner {
  readonly isRight: boolean;
  readonly isBottom: boolean;
}

/** Nothing can be seen on less, pixels. */
const LEAST = 16;

export function wholeOf({ width, height }: Size): CropRect {
  return { left: 0, top: 0, width, height };
}

export function isWhole(part: CropRect, size: Size): boolean {
  return part.width === size.width && part.height === size.height;
}

/** As far as the image goes. */
export function moved(part: CropRect, size: Size, by: Point): CropRect {
  return {
    ...part,
    left: clamp(Math.round(part.left + by.x), 0, size.width - part.width),
    top: clamp(Math.round(part.top + by.y), 0, size.height - part.height),
  };
}

/** With one corner at a point, the opposite one where it was. */
export function cornerAt(part: CropRect, size: Size, corner: Corner, point: Point): CropRect {
  const [left, width] = edges(part.left, part.width, size.width, corner.isRight, point.x);
  const [top, height] = edges(part.top, part.height, size.height, corner.isBottom, point.y);
  return { left, top, width, height };
}

/** The one next to a point, and how far off it is. */
export function nearestCorner(
  part: CropRect,
  point: Point,
): { readonly corner: Corner; readonly distance: number } {
  const corner = {
    isRight: point.x > part.left + part.width / 2,
    isBottom: point.y > part.top + part.height / 2,
  };
  const x = part.left + (corner.isRight ? part.width : 0);
  const y = part.top + (corner.isBottom ? part.height : 0);
  return { corner, distance: Math.hypot(point.x - x, point.y - y) };
}

export function contains({ left, top, width, height }: CropRect, { x, y }: Point): boolean {
  return x >= left && x <= left + width && y >= top && y <= top + height;
}

/** Start and length along one side when its near or its far end is put to `wanted`. */
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
