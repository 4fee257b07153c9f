/** Divides an image into the parts that an occlusion map paints over, and turns the measured drops into the map's values. */
import { type Box, boxInOtherSquare, type Tile } from "@llava/processing";

/** Squares of patches over the vision tower's square, the same number down as across. */
export interface Grid {
  readonly cells: number;
  /** Beginnings of the cells, and the end of the last one: pixels of the square, on borders of patches. */
  readonly edges: readonly number[];
}

/** Some neighbouring cells that are painted over together. */
export interface Window {
  readonly row: number;
  readonly column: number;
  /** The part of them that shows the image, pixels of the square. */
  readonly box: Box;
}

/** Most cells along an edge: 121 runs. */
export const MAX_CELLS = 12;
/** Fewest cells along an edge: with one, the only window paints all of them over and says nothing about places. */
export const MIN_CELLS = 2;
/** Cells along an edge that are enough to tell objects apart: 49 runs. */
const DEFAULT_CELLS = 8;
/**
 * Cells of a window, down and across. One patch alone changes little, because its neighbours show the same object; windows
 * overlap, so that each cell in the middle is painted over four times, every time with other neighbours.
 */
const WINDOW_CELLS = 2;

/** Cells along an edge where the request names none: a divisor of the patches near the default, so that cells are equal. */
export function defaultCells(patches: number): number {
  for (const cells of [DEFAULT_CELLS, 7, 9, 6, 10]) if (patches % cells === 0) return cells;
  return Math.min(DEFAULT_CELLS, patches);
}

/** @param patches of the tower, along an edge; @param patchSize pixels */
export function createGrid(cells: number, patches: number, patchSize: number): Grid {
  const edges = Array.from({ length: cells + 1 }, (_, i) => Math.round((i * patches) / cells) * patchSize);
  return { cells, edges };
}

/** The windows that show some of the image; `shown` is the part of the square that is not padding. */
export function windowsOf({ cells, edges }: Grid, shown: Box): readonly Window[] {
  const side = Math.min(WINDOW_CELLS, cells);
  const windows: Window[] = [];
  for (let row = 0; row + side <= cells; row++)
    for (let column = 0; column + side <= cells; column++) {
      const [x, y] = [edges[column] ?? 0, edges[row] ?? 0];
      const width = (edges[column + side] ?? 0) - x;
      const height = (edges[row + side] ?? 0) - y;
      const box = overlap({ x, y, width, height }, shown);
      if (box.width > 0 && box.height > 0) windows.push({ row, column, box });
    }
  return windows;
}

/**
 * The mean over the windows that paint a cell over, row by row; null for cells that show nothing of the image.
 * @param drops one for each window
 */
export function averageDrops(
  { cells, edges }: Grid,
  shown: Box,
  windows: readonly Window[],
  drops: readonly number[],
): readonly (readonly (number | null)[])[] {
  const side = Math.min(WINDOW_CELLS, cells);
  const covers = (at: number, start: number): boolean => at >= start && at < start + side;
  const isShown = (row: number, column: number): boolean => {
    const [x, y] = [edges[column] ?? 0, edges[row] ?? 0];
    const cell = { x, y, width: (edges[column + 1] ?? 0) - x, height: (edges[row + 1] ?? 0) - y };
    const { width, height } = overlap(cell, shown);
    return width > 0 && height > 0;
  };
  const valueOf = (row: number, column: number): number | null => {
    const found = drops.filter((_, i) => {
      const window = windows[i];
      return window !== undefined && covers(row, window.row) && covers(column, window.column);
    });
    if (found.length === 0 || !isShown(row, column)) return null;
    return found.reduce((sum, drop) => sum + drop, 0) / found.length;
  };
  const places = Array.from({ length: cells }, (_, i) => i);
  return places.map((row) => places.map((column) => valueOf(row, column)));
}

/** Mean of each channel over the part of the square that shows the image. pixels [3, size, size]. */
export function meanColour(pixels: Float32Array, size: number, shown: Box): readonly number[] {
  return [0, 1, 2].map((channel) => {
    let sum = 0;
    for (let y = shown.y; y < shown.y + shown.height; y++) {
      const row = (channel * size + y) * size;
      for (let x = shown.x; x < shown.x + shown.width; x++) sum += pixels[row + x] ?? 0;
    }
    return sum / (shown.width * shown.height);
  });
}

/**
 * A copy with `box` in one colour, in every tile that shows any of it.
 * @param pixels [tiles, 3, size, size] @param box pixels of the first tile's square
 */
export function paintOver(
  pixels: Float32Array,
  tiles: readonly Tile[],
  box: Box,
  colour: readonly number[],
): Float32Array {
  const painted = pixels.slice();
  const length = pixels.length / tiles.length;
  const [first] = tiles;
  for (const [i, tile] of tiles.entries()) {
    const own = first === undefined || i === 0 ? box : boxInOtherSquare(box, first, tile);
    fillBox(painted.subarray(i * length, (i + 1) * length), tile.size, own, colour);
  }
  return painted;
}

/** pixels [3, size, size] */
function fillBox(pixels: Float32Array, size: number, box: Box, colour: readonly number[]): void {
  for (const [channel, value] of colour.entries())
    for (let y = box.y; y < box.y + box.height; y++) {
      const row = (channel * size + y) * size;
      pixels.fill(value, row + box.x, row + box.x + box.width);
    }
}

function overlap(a: Box, b: Box): Box {
  const x = Math.max(a.x, b.x);
  const y = Math.max(a.y, b.y);
  const width = Math.max(0, Math.min(a.x + a.width, b.x + b.width) - x);
  const height = Math.max(0, Math.min(a.y + a.height, b.y + b.height) - y);
  return { x, y, width, height };
}
