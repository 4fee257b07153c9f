import { describe, expect, it } from "vitest";
import { boxInImage, boxInSquare, placeImage } from "./geometry.ts";

describe("what the square shows of a wide image", () => {
  it("is more than the image where it was padded", () => {
    const placement = placeImage(200, 100, { size: 50, shape: "pad" });
    expect(boxInImage(placement)).toEqual({ x: 0, y: -50, width: 200, height: 200 });
    expect(boxInSquare(200, 100, placement)).toEqual({ x: 0, y: 13, width: 50, height: 25 });
  });

  it("is its middle where it was cut", () => {
    const placement = placeImage(200, 100, { size: 50, shape: "crop" });
    expect(boxInImage(placement)).toEqual({ x: 50, y: 0, width: 100, height: 100 });
    expect(boxInSquare(200, 100, placement)).toEqual({ x: 0, y: 0, width: 50, height: 50 });
  });

  it("is all of it where it was squashed", () => {
    const placement = placeImage(200, 100, { size: 50, shape: "resize" });
    expect(boxInImage(placement)).toEqual({ x: 0, y: 0, width: 200, height: 100 });
    expect(boxInSquare(200, 100, placement)).toEqual({ x: 0, y: 0, width: 50, height: 50 });
  });
});
