/** Draws colors at random: shades of those that have a name, and some that have none. */
import type { Random } from "./keyed-random.ts";
import type { Color } from "./vocabulary.ts";

/** Red, green and blue, 0 to 255 each. */
export type Rgb = readonly [number, number, number];

/** Ranges of hue in degrees, saturation and value; gaps between neighbors keep the names distinct. */
const SHADES: Readonly<Record<Color, Ranges>> = {
  red: [
    [-5, 5],
    [0.82, 1],
    [0.78, 1],
  ],
  green: [
    [105, 140],
    [0.65, 1],
    [0.5, 0.9],
  ],
  blue: [
    [215, 238],
    [0.78, 1],
    [0.7, 1],
  ],
  yellow: [
    [49, 58],
    [0.85, 1],
    [0.9, 1],
  ],
  purple: [
    [273, 290],
    [0.6, 0.9],
    [0.55, 0.78],
  ],
  orange: [
    [24, 33],
    [0.88, 1],
    [0.92, 1],
  ],
  cyan: [
    [180, 190],
    [0.75, 1],
    [0.78, 1],
  ],
  pink: [
    [325, 340],
    [0.4, 0.58],
    [0.95, 1],
  ],
};
type Range = readonly [number, number];
type Ranges = readonly [hue: Range, saturation: Range, value: Range];

/** A random shade of the color. */
export function shade(random: Random, color: Color): Rgb {
  return within(random, SHADES[color]);
}

function within(random: Random, [hue, saturation, value]: Ranges): Rgb {
  return fromHsv(random.between(...hue), random.between(...saturation), random.between(...value));
}

/** Converts hue in degrees, saturation and value in [0, 1]. */
function fromHsv(hue: number, saturation: number, value: number): Rgb {
  const channel = (n: number): number => {
    const k = (n + hue / 60 + 6) % 6;
    return 255 * value * (1 - saturation * Math.max(0, Math.min(k, 4 - k, 1)));
  };
  return [channel(5), channel(3), channel(1)];
}

/** Ranges of colors that no name of the demo fits: black and grey, brown, lime, magenta. */
const NAMELESS: readonly Ranges[] = [
  [
    [0, 360],
    [0, 0.08],
    [0.02, 0.7],
  ],
  [
    [14, 34],
    [0.5, 0.8],
    [0.25, 0.5],
  ],
  [
    [74, 88],
    [0.6, 1],
    [0.55, 0.9],
  ],
  [
    [300, 310],
    [0.7, 1],
    [0.75, 1],
  ],
];

/** A random color that has no name in the demo's language. */
export function namelessShade(random: Random): Rgb {
  return within(random, random.pick(NAMELESS));
}
