import { describe, expect, it } from "vitest";
import {
  averageDrops,
  createGrid,
  defaultCells,
  meanColour,
  paintOver,
  windowsOf,
} from "./occlusion-grid.ts";

const WHOLE = { x: 0, y: 0, width: 8, height: 8 };

describe("the grid of an occlusion map", () => {
  it("has its edges on borders of patches, also where cells do not divide them", () => {
    expect(createGrid(4, 8, 12).edges).toEqual([0, 24, 48, 72, 96]);
    const { edges } = createGrid(8, 27, 14);
    expect(edges.at(-1)).toBe(378);
    for (const edge of edges) expect(edge % 14).toBe(0);
    expect(new Set(edges).size).toBe(9);
  });

  it.each([
    [8, 8],
    [24, 8],
    [16, 8],
    [21, 7],
    [27, 9],
    [23, 8],
    [4, 4],
  ])("over %d patches has %d cells by default", (patches, cells) => {
    expect(defaultCells(patches)).toBe(cells);
  });
});

describe("windows of an occlusion map", () => {
  const grid = createGrid(4, 4, 2);

  it("cover every cell, the inner ones four times", () => {
    const windows = windowsOf(grid, WHOLE);
    expect(windows).toHaveLength(9);
    const covering = (row: number, column: number): number =>
      windows.filter(({ box }) => {
        const [x, y] = [2 * column, 2 * row];
        return x >= box.x && x < box.x + box.width && y >= box.y && y < box.y + box.height;
      }).length;
    expect([covering(0, 0), covering(0, 1), covering(1, 1), covering(3, 3)]).toEqual([1, 2, 4, 1]);
  });

  it("of padding alone are left out, and those at its border are cut", () => {
    const shown = { x: 0, y: 3, width: 8, height: 2 };
    const windows = windowsOf(grid, shown);
    expect(windows.map(({ row }) => row)).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2]);
    for (const { box } of windows) expect([box.y >= 3, box.y + box.height <= 5]).toEqual([true, true]);
    expect(windowsOf(grid, { x: 0, y: 0, width: 8, height: 2 })).toHaveLength(3);
    const values = averageDrops(
      grid,
      shown,
      windows,
      windows.map(() => 1),
    );
    expect(values.map((row) => row[0])).toEqual([null, 1, 1, null]);
  });
});

it("occlusion: a cell's value is the mean of the windows over it", () => {
  const grid = createGrid(3, 3, 2);
  const shown = { x: 0, y: 0, width: 6, height: 6 };
  const windows = windowsOf(grid, shown);
  expect(windows).toHaveLength(4);
  expect(averageDrops(grid, shown, windows, [4, 0, 8, 0])).toEqual([
    [4, 2, 0],
    [6, 3, 0],
    [8, 4, 0],
  ]);
});

/** A square of 8 pixels that shows a whole image of 8 × 8 pixels. */
const SQUARE = { source: WHOLE, scaledWidth: 8, scaledHeight: 8, left: 0, top: 0, size: 8 };

it("occlusion: a box is painted over with the mean colour of the image alone, and the rest stays", () => {
  const pixels = Float32Array.from({ length: 3 * 64 }, (_, i) => (i % 8 < 4 ? 1 : 3) + Math.floor(i / 64));
  const shown = { x: 0, y: 0, width: 4, height: 8 };
  expect(meanColour(pixels, 8, shown)).toEqual([1, 2, 3]);
  expect(meanColour(pixels, 8, WHOLE)).toEqual([2, 3, 4]);
  const painted = paintOver(pixels, [SQUARE], { x: 6, y: 1, width: 2, height: 1 }, [7, 8, 9]);
  const changed = [...painted].flatMap((value, i) => (value === pixels[i] ? [] : [[i, value]]));
  expect(changed).toEqual([
    [14, 7],
    [15, 7],
    [78, 8],
    [79, 8],
    [142, 9],
    [143, 9],
  ]);
});

it("occlusion: a box is painted over in every tile that shows it", () => {
  const pixels = new Float32Array(3 * 3 * 64);
  // The whole image, then its left and its right half at twice the size.
  const half = { ...SQUARE, scaledWidth: 16, scaledHeight: 8 };
  const tiles = [SQUARE, half, { ...half, left: 8 }];
  const painted = paintOver(pixels, tiles, { x: 3, y: 0, width: 2, height: 1 }, [1, 1, 1]);
  const changed = [...painted].flatMap((value, i) => (value === 0 ? [] : [i]));
  const channels = [0, 64, 128];
  expect(changed).toEqual([
    ...channels.flatMap((at) => [at + 3, at + 4]),
    ...channels.flatMap((at) => [192 + at + 6, 192 + at + 7]),
    ...channels.flatMap((at) => [384 + at, 384 + at + 1]),
  ]);
});
