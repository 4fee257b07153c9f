/** Builds objects of scenes from names, with clear shades and round sizes and without random choices. */
import type { Background, CharacterObject, ShapeObject } from "./scene.ts";
import type { Rgb } from "./shades.ts";
import type { Color, Shape, Size, Texture } from "./vocabulary.ts";

/** One shade per color, from the middle of the range that the demo draws. */
const CLEAR_SHADES: Readonly<Record<Color, Rgb>> = {
  red: [232, 39, 32],
  green: [49, 173, 65],
  blue: [41, 85, 230],
  yellow: [247, 218, 25],
  purple: [126, 47, 168],
  orange: [247, 126, 20],
  cyan: [39, 200, 214],
  pink: [250, 125, 183],
};

/** Half heights in scene units, from the middle of the ranges that the demo draws. */
export const RADIUS: Readonly<Record<Size, number>> = { large: 14, small: 8 };

export interface Look {
  readonly size?: Size;
  readonly texture?: Texture;
  /** Angle in radians. */
  readonly rotation?: number;
}

/** A shape with its centre at (x, y), in the scene's 96 × 96 units. */
export function shapeObject(color: Color, shape: Shape, x: number, y: number, look: Look = {}): ShapeObject {
  const { size = "large", texture = "solid", rotation = 0 } = look;
  const stripes = { angle: Math.PI / 4, period: 5, phase: 0.2 };
  const rgb = CLEAR_SHADES[color];
  const radius = RADIUS[size];
  return { kind: "shape", shape, texture, stripes, color, rgb, size, x, y, radius, rotation };
}

/** A letter or a digit, which the demo draws only large. */
export function characterObject(color: Color, character: string, x: number, y: number): CharacterObject {
  const rgb = CLEAR_SHADES[color];
  return {
    kind: "character",
    character,
    color,
    rgb,
    size: "large",
    x,
    y,
    radius: RADIUS.large,
    rotation: 0.02,
  };
}

/** A background of a light tint that darkens a little downwards. */
export function paper(color: Rgb): Background {
  return { color, across: [3, 2, 1], down: [-9, -9, -8], noise: 0, seed: 1 };
}
