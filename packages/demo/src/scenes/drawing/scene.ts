/** Makes scenes: the content of an image as data, from which pixels, questions and labels are made. */
import { Random } from "./keyed-random.ts";
import { namelessShade, type Rgb, shade } from "./shades.ts";
import { CHARACTERS, COLORS, PLACES, SHAPES, isHeldOut, mayMentionHeldOut } from "./vocabulary.ts";
import type { Color, Place, Shape, Size, Split, Texture } from "./vocabulary.ts";

/** Edge of the scene in its own units; one unit is one pixel of the image that the model sees. */
export const SCENE_SIZE = 96;

interface Placed {
  /** Name of the color; null for one without a name in the demo's language. */
  readonly color: Color | null;
  readonly rgb: Rgb;
  readonly size: Size;
  /** Centre, in scene units. */
  readonly x: number;
  readonly y: number;
  /** Half height, in scene units. */
  readonly radius: number;
  /** Angle in radians. */
  readonly rotation: number;
}
interface Stripes {
  readonly angle: number;
  readonly period: number;
  readonly phase: number;
}
export interface ShapeObject extends Placed {
  readonly kind: "shape";
  readonly shape: Shape;
  readonly texture: Texture;
  readonly stripes: Stripes;
}
export interface CharacterObject extends Placed {
  readonly kind: "character";
  readonly character: string;
}
export type SceneObject = ShapeObject | CharacterObject;

export interface Background {
  readonly color: Rgb;
  /** Change of the color from the left edge to the right one. */
  readonly across: Rgb;
  /** Change of the color from the top edge to the bottom one. */
  readonly down: Rgb;
  /** Largest amount by which a pixel differs. */
  readonly noise: number;
  readonly seed: number;
}
export interface Scene {
  readonly objects: readonly SceneObject[];
  readonly background: Background;
}

/** Number of scenes in each split. */
export const SCENES_PER_SPLIT = 2 ** 30;

/** First seed of each split: no two splits have a seed in common. */
const FIRST_SEED = {
  train: 0,
  test: SCENES_PER_SPLIT,
  "held-out": 2 * SCENES_PER_SPLIT,
  "text-only": 3 * SCENES_PER_SPLIT,
} as const;

/**
 * The index-th scene of a split; index in [0, 2^30).
 * @param namelessShare share of objects, 0 to 1, whose color has no name: they teach shapes independently of colors
 */
export function sceneOf(split: Split, index: number, namelessShare = 0): Scene {
  if (!Number.isInteger(index) || index < 0 || index >= SCENES_PER_SPLIT)
    throw new RangeError(`A scene's index must be an integer in [0, 2^30), but it is ${index}.`);
  return sampleScene(Random.of(FIRST_SEED[split] + index, "scene"), split, namelessShare);
}

/** Share of scenes without any object. */
const EMPTY_SHARE = 0.03;

/** A random scene: nothing, or 1 to 5 objects that keep clear of each other. */
function sampleScene(random: Random, split: Split, namelessShare: number): Scene {
  if (split !== "held-out" && random.chance(EMPTY_SHARE))
    return { objects: [], background: emptyBackground(random) };
  const count = 1 + random.int(5);
  for (;;) {
    const objects = sampleObjects(random, split, count);
    if (!objects) continue;
    const drawn = namelessShare > 0 ? objects.map((object) => paled(random, object, namelessShare)) : objects;
    return { objects: random.shuffle(drawn), background: background(random) };
  }
}

/** Shares of scenes with 0, 1 and 2 characters. */
const CHARACTER_SHARES = [0.6, 0.35, 0.05] as const;

function sampleObjects(random: Random, split: Split, count: number): SceneObject[] | null {
  // A held-out scene keeps its first place for the held-out pair.
  const characters = Math.min(random.weighted(CHARACTER_SHARES), split === "held-out" ? count - 1 : count);
  const palette = random.chance(0.3) ? [random.pick(COLORS), random.pick(COLORS)] : COLORS;
  const shapes = random.chance(0.3) ? [random.pick(SHAPES), random.pick(SHAPES)] : SHAPES;
  const objects: SceneObject[] = [];
  for (let i = 0; i < count; i++) {
    const isCharacter = i >= count - characters;
    const size: Size = isCharacter || random.chance(0.5) ? "large" : "small";
    const radius = size === "large" ? random.between(12, 15) : random.between(6.5, 8.5);
    const place = findPlace(random, objects, radius);
    if (!place) return null;
    if (isCharacter) {
      const color = random.pick(palette);
      const rotation = random.between(-0.08, 0.08);
      const character = random.pick(CHARACTERS);
      objects.push({
        kind: "character",
        character,
        color,
        rgb: shade(random, color),
        size,
        ...place,
        radius,
        rotation,
      });
    } else {
      const [color, shape] = pair(random, split === "held-out" && i === 0 ? "only" : split, palette, shapes);
      const texture: Texture = random.chance(0.25) ? "striped" : "solid";
      const rotation = random.between(-0.2, 0.2);
      const rgb = shade(random, color);
      objects.push({
        kind: "shape",
        shape,
        texture,
        stripes: stripes(random),
        color,
        rgb,
        size,
        ...place,
        radius,
        rotation,
      });
    }
  }
  return objects;
}

/** A color and a shape that the split may show; from the scene's own lists if these have such a pair. */
function pair(
  random: Random,
  split: Split | "only",
  colors: readonly Color[],
  shapes: readonly Shape[],
): [Color, Shape] {
  for (let tries = 0; ; tries++) {
    const color = random.pick(tries < 12 ? colors : COLORS);
    const shape = random.pick(tries < 12 ? shapes : SHAPES);
    if ((split !== "only" && mayMentionHeldOut(split)) || isHeldOut(color, shape) === (split === "only"))
      return [color, shape];
  }
}

/** Distance of a centre from the borders of the thirds from which its cell is clear. */
const CLEAR_MARGIN = 4;
const THIRD = SCENE_SIZE / 3;

/** A free centre: four times in five well inside a random cell of the 3×3 grid, else anywhere. */
function findPlace(
  random: Random,
  others: readonly SceneObject[],
  radius: number,
): { x: number; y: number } | null {
  const edge = radius * 1.1 + 1;
  for (let tries = 0; tries < 40; tries++) {
    const anywhere = random.chance(0.2);
    const along = (): number => {
      const cell = random.int(3);
      const low = anywhere ? 0 : cell * THIRD + CLEAR_MARGIN;
      const high = anywhere ? SCENE_SIZE : (cell + 1) * THIRD - CLEAR_MARGIN;
      return random.between(Math.max(edge, low), Math.min(SCENE_SIZE - edge, high));
    };
    const x = along();
    const y = along();
    if (others.every((o) => Math.hypot(o.x - x, o.y - y) >= 1.08 * (o.radius + radius) + 3)) return { x, y };
  }
  return null;
}

/** With probability `share` the object in a color without a name. */
function paled(random: Random, object: SceneObject, share: number): SceneObject {
  if (!random.chance(share)) return object;
  return { ...object, color: null, rgb: namelessShade(random) };
}

function stripes(random: Random): Stripes {
  return { angle: (random.int(4) * Math.PI) / 4, period: random.between(4.6, 5.6), phase: random.next() };
}

function background(random: Random): Background {
  const seed = random.int(2 ** 31);
  const plain = random.chance(0.2);
  if (plain) return { color: [255, 255, 255], across: [0, 0, 0], down: [0, 0, 0], noise: 0, seed };
  const light = random.between(212, 250);
  const tint = (): number => light + random.between(-9, 9);
  return {
    color: [tint(), tint(), tint()],
    across: slope(random, 10),
    down: slope(random, 10),
    noise: random.between(0, 9),
    seed,
  };
}

/** A background without anything to recognize: any tint, a strong gradient or strong noise. */
function emptyBackground(random: Random): Background {
  const channel = (): number => random.between(90, 250);
  const steep = random.between(0, 70);
  const noise = random.between(0, 30);
  const seed = random.int(2 ** 31);
  return {
    color: [channel(), channel(), channel()],
    across: slope(random, steep),
    down: slope(random, steep),
    noise,
    seed,
  };
}

function slope(random: Random, most: number): Rgb {
  const shared = random.between(-most, most);
  const channel = (): number => shared + random.between(-0.3, 0.3) * most;
  return [channel(), channel(), channel()];
}

/** The cell of the 3×3 grid, 0 to 8, row by row, in which a point lies. */
export function cellOf(point: { readonly x: number; readonly y: number }): number {
  return thirdOf(point.y) * 3 + thirdOf(point.x);
}

function thirdOf(value: number): number {
  return Math.min(2, Math.max(0, Math.floor(value / THIRD)));
}

export function placeOf(point: { readonly x: number; readonly y: number }): Place {
  return PLACES[cellOf(point)] ?? "center";
}

/** Whether the point's place is clear: at least CLEAR_MARGIN from every border of the thirds. */
export function isClearlyPlaced(point: { readonly x: number; readonly y: number }): boolean {
  return [point.x, point.y].every((value) =>
    [THIRD, 2 * THIRD].every((border) => Math.abs(value - border) >= CLEAR_MARGIN),
  );
}
