import { describe, expect, it } from "vitest";
import { mostTokens, planImage, planTiles, type SquareShape } from "./image-plan.ts";
import { boxInImage, boxInOtherSquare, imageInSquare, type Tile } from "./tile.ts";

const WIDE = { width: 200, height: 100 };

function tileOf(shape: SquareShape): Tile {
  const [tile] = planTiles(WIDE, { size: 50, shape, mean: [0.5, 0.5, 0.5] }).tiles;
  if (tile === undefined) throw new Error("The plan has no tile.");
  return tile;
}

describe("the square of a wide image", () => {
  it("shows more than the image where it was padded", () => {
    expect(boxInImage(tileOf("pad"))).toEqual({ x: 0, y: -50, width: 200, height: 200 });
    expect(imageInSquare(WIDE, tileOf("pad"))).toEqual({ x: 0, y: 13, width: 50, height: 25 });
  });

  it("shows its middle where it was cropped", () => {
    expect(boxInImage(tileOf("crop"))).toEqual({ x: 50, y: 0, width: 100, height: 100 });
    expect(imageInSquare(WIDE, tileOf("crop"))).toEqual({ x: 0, y: 0, width: 50, height: 50 });
  });

  it("shows all of it where it was squashed", () => {
    expect(boxInImage(tileOf("resize"))).toEqual({ x: 0, y: 0, width: 200, height: 100 });
    expect(imageInSquare(WIDE, tileOf("resize"))).toEqual({ x: 0, y: 0, width: 50, height: 50 });
  });
});

it.each(["pad", "crop", "resize"] as const)(
  "the plan of %s is one tile, all of whose tokens count",
  (shape) => {
    const target = { size: 50, shape, mean: [0.5, 0.25, 1] } as const;
    expect(planImage(WIDE, target, 577)).toMatchObject({
      image: WIDE,
      tiles: [{ size: 50 }],
      grid: { rows: 1, columns: 1 },
      fill: [127, 63, 255],
      layout: [{ kind: "tile", tile: 0, first: 0, count: 577 }],
      numTokens: 577,
    });
    expect(mostTokens(target, 577)).toBe(577);
  },
);

describe("a box of one square in another square of the same image", () => {
  const padded = tileOf("pad");
  const cropped = tileOf("crop");
  /** The right half of the image, as one of two tiles side by side. */
  const right = { ...tileOf("resize"), scaledWidth: 100, scaledHeight: 50, left: 50 };

  it("is itself in the same square", () => {
    expect(boxInOtherSquare({ x: 7, y: 20, width: 3, height: 9 }, padded, padded)).toEqual({
      x: 7,
      y: 20,
      width: 3,
      height: 9,
    });
  });

  it("is cut at the edges of the other one", () => {
    const middle = { x: 20, y: 13, width: 10, height: 24 };
    expect(boxInOtherSquare(middle, padded, cropped)).toEqual({ x: 15, y: 1, width: 20, height: 48 });
    expect(boxInOtherSquare(middle, padded, right)).toEqual({ x: 0, y: 1, width: 10, height: 48 });
    const atLeft = { x: 0, y: 13, width: 10, height: 24 };
    expect(boxInOtherSquare(atLeft, padded, right)).toMatchObject({ width: 0 });
  });
});
