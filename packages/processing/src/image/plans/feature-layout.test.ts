import { expect, it } from "vitest";
import { arrangeRows, countTokens, type FeatureRun, tilesInOrder } from "./feature-layout.ts";

/** Features of three tiles, [4, 2]: tile, row, column are the digits of each number. */
const TILES = [0, 1, 2].map((tile) =>
  Float32Array.from({ length: 8 }, (_, i) => 100 * tile + 10 * Math.floor(i / 2) + (i % 2)),
);
const NEWLINE = new Map([["image_newline", Float32Array.of(-1, -2)]]);

it("tiles follow each other with all their rows", () => {
  const layout = tilesInOrder(3, 4);
  expect(countTokens(layout)).toBe(12);
  const target = new Float32Array(24);
  arrangeRows(layout, TILES, new Map(), target);
  expect([...target]).toEqual(TILES.flatMap((tile) => [...tile]));
});

it("rows of neighbouring tiles alternate, and a learned row ends each line", () => {
  // An overview, then two tiles of 2 × 2 cells side by side: the layout of LLaVA-NeXT without its last row of cells.
  const layout: readonly FeatureRun[] = [
    ...tilesInOrder(1, 4),
    { kind: "tile", tile: 1, first: 0, count: 2 },
    { kind: "tile", tile: 2, first: 0, count: 2 },
    { kind: "learned", name: "image_newline" },
  ];
  expect(countTokens(layout)).toBe(9);
  const target = new Float32Array(18);
  arrangeRows(layout, TILES, NEWLINE, target);
  expect([...target.subarray(8)]).toEqual([100, 101, 110, 111, 200, 201, 210, 211, -1, -2]);
});

it("a row that the checkpoint lacks is named", () => {
  const layout: readonly FeatureRun[] = [{ kind: "learned", name: "image_newline" }];
  expect(() => arrangeRows(layout, TILES, new Map(), new Float32Array(2))).toThrow("image_newline");
});
