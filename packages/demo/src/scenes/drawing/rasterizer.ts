/** Renders scenes as pixels at any size, with 2×2 samples per pixel. */
import { GLYPH_COLUMNS, GLYPH_ROWS, glyphOutline } from "./glyphs.ts";
import { SCENE_SIZE } from "./scene.ts";
import type { Background, Scene, SceneObject, ShapeObject } from "./scene.ts";
import type { Rgb } from "./shades.ts";
import type { Shape } from "./vocabulary.ts";

/** The pixels of the box around an object, row by row, with the number of samples, 0 to 4, that the object covers. */
export interface Coverage {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Number of samples in the object, [height × width]. */
  readonly ink: Uint8Array;
  /** Number of those samples that are on a light stripe, [height × width]. */
  readonly stripe: Uint8Array;
}

/** One coverage per object of the scene, for an image of size × size pixels. */
export function rasterize(scene: Scene, size: number = SCENE_SIZE): Coverage[] {
  return scene.objects.map((object) => cover(object, size));
}

/**
 * The image as [size, size, 3] bytes, RGB.
 * @param coverages the result of `rasterize(scene, size)`, when it is known already
 */
export function render(
  scene: Scene,
  size: number = SCENE_SIZE,
  coverages = rasterize(scene, size),
): Uint8Array {
  const pixels = new Uint8Array(size * size * 3);
  paintBackground(pixels, size, scene.background);
  scene.objects.forEach((object, i) => {
    const coverage = coverages[i];
    if (coverage) paint(pixels, size, object.rgb, coverage);
  });
  return pixels;
}

function paintBackground(pixels: Uint8Array, size: number, background: Background): void {
  const { color, across, down, noise } = background;
  let state = background.seed | 0;
  for (let y = 0, i = 0; y < size; y++) {
    const v = (y + 0.5) / size - 0.5;
    const red = color[0] + v * down[0];
    const green = color[1] + v * down[1];
    const blue = color[2] + v * down[2];
    for (let x = 0; x < size; x++, i += 3) {
      const u = (x + 0.5) / size - 0.5;
      // A linear congruential generator is random enough for grain, and the cheapest there is.
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      const grain = (state >> 8) * (noise / 0x800000);
      pixels[i] = toByte(red + u * across[0] + grain);
      pixels[i + 1] = toByte(green + u * across[1] + grain);
      pixels[i + 2] = toByte(blue + u * across[2] + grain);
    }
  }
}

/** Lightness of the stripes, from 0 for the object's color to 1 for white. */
const STRIPE_LIGHTNESS = 0.94;

function paint(pixels: Uint8Array, size: number, rgb: Rgb, coverage: Coverage): void {
  for (let row = 0, k = 0; row < coverage.height; row++) {
    let i = ((coverage.top + row) * size + coverage.left) * 3;
    for (let column = 0; column < coverage.width; column++, k++, i += 3) {
      const ink = (coverage.ink[k] ?? 0) / 4;
      if (ink === 0) continue;
      const light = ((coverage.stripe[k] ?? 0) / 4) * STRIPE_LIGHTNESS;
      for (let channel = 0; channel < 3; channel++) {
        const own = rgb[channel] ?? 0;
        pixels[i + channel] = toByte(
          (pixels[i + channel] ?? 0) * (1 - ink) + own * (ink - light) + 255 * light,
        );
      }
    }
  }
}

function toByte(value: number): number {
  return value <= 0 ? 0 : value >= 255 ? 255 : (value + 0.5) | 0;
}

/** Half the width of a character, in half heights. */
export const GLYPH_ASPECT = GLYPH_COLUMNS / GLYPH_ROWS;

/** Half the width and half the height of each outline before it is rotated, in radii. */
const EXTENTS: Readonly<Record<Shape | "character", readonly [number, number]>> = {
  circle: [0.98, 0.98],
  square: [0.8, 0.8],
  triangle: [0.93, 0.96],
  diamond: [0.74, 1.08],
  cross: [0.98, 0.98],
  star: [1.1, 1.1],
  character: [GLYPH_ASPECT, 1],
};

function cover(object: SceneObject, size: number): Coverage {
  const scale = size / SCENE_SIZE;
  const [across, down] = EXTENTS[object.kind === "shape" ? object.shape : "character"];
  const turnedX = Math.abs(Math.cos(object.rotation)) * object.radius;
  const turnedY = Math.abs(Math.sin(object.rotation)) * object.radius;
  const reachX = across * turnedX + down * turnedY;
  const reachY = across * turnedY + down * turnedX;
  const pixel = (value: number): number => Math.min(size, Math.max(0, value));
  const left = pixel(Math.floor((object.x - reachX) * scale));
  const top = pixel(Math.floor((object.y - reachY) * scale));
  const width = pixel(Math.ceil((object.x + reachX) * scale)) - left;
  const height = pixel(Math.ceil((object.y + reachY) * scale)) - top;
  const ink = new Uint8Array(width * height);
  const stripe = new Uint8Array(width * height);
  const isInside = outlineOf(object);
  const isStripe =
    object.kind === "shape" && object.texture === "striped" ? stripesOf(object, isInside) : null;
  const cos = Math.cos(object.rotation) / object.radius;
  const sin = Math.sin(object.rotation) / object.radius;
  for (let sample = 0; sample < 4; sample++) {
    const offsetX = left + 0.25 + 0.5 * (sample & 1);
    const offsetY = top + 0.25 + 0.5 * (sample >> 1);
    for (let row = 0, k = 0; row < height; row++) {
      const dy = (offsetY + row) / scale - object.y;
      for (let column = 0; column < width; column++, k++) {
        const dx = (offsetX + column) / scale - object.x;
        const u = dx * cos + dy * sin;
        const v = dy * cos - dx * sin;
        if (!isInside(u, v)) continue;
        ink[k] = (ink[k] ?? 0) + 1;
        if (isStripe?.(u, v)) stripe[k] = (stripe[k] ?? 0) + 1;
      }
    }
  }
  return { left, top, width, height, ink, stripe };
}

/** Whether (u, v), in radii from the centre and v downwards, lies in the object. */
type Outline = (u: number, v: number) => boolean;

function outlineOf(object: SceneObject): Outline {
  if (object.kind === "shape") return OUTLINES[object.shape];
  const isInk = glyphOutline(object.character);
  return (u, v) => isInk(u / GLYPH_ASPECT, v);
}

const OUTLINES: Readonly<Record<Shape, Outline>> = {
  circle: (u, v) => u * u + v * v <= 0.96,
  square: (u, v) => Math.abs(u) <= 0.8 && Math.abs(v) <= 0.8,
  triangle: (u, v) => v <= 0.72 && v >= -0.96 && Math.abs(u) <= ((v + 0.96) / 1.68) * 0.93,
  diamond: (u, v) => Math.abs(u) / 0.74 + Math.abs(v) / 1.08 <= 1,
  cross: (u, v) =>
    (Math.abs(u) <= 0.32 && Math.abs(v) <= 0.98) || (Math.abs(v) <= 0.32 && Math.abs(u) <= 0.98),
  star: isInStar,
};

const POINT = Math.PI / 5;
const STAR_TIP = 1.1;
const STAR_NOTCH = 0.5;

/** A five-pointed star, tip up: by symmetry one half point, whose edge runs from the tip to the notch. */
function isInStar(u: number, v: number): boolean {
  const distance = Math.sqrt(u * u + v * v);
  if (distance <= STAR_NOTCH * Math.cos(POINT)) return true;
  if (distance > STAR_TIP) return false;
  const turn = Math.atan2(Math.abs(u), -v) % (2 * POINT);
  const angle = Math.min(turn, 2 * POINT - turn);
  const edge = STAR_TIP * STAR_NOTCH * Math.sin(POINT);
  return distance * (STAR_NOTCH * Math.sin(POINT - angle) + STAR_TIP * Math.sin(angle)) <= edge;
}

/** Light stripes inside a rim of the object's own color, so that the silhouette stays whole. */
function stripesOf(object: ShapeObject, isInside: Outline): Outline {
  const { angle, period, phase } = object.stripes;
  const across = (Math.cos(angle) * object.radius) / period;
  const down = (Math.sin(angle) * object.radius) / period;
  const shrink = 1 / (1 - 1.1 / object.radius);
  return (u, v) => {
    const position = u * across + v * down + phase;
    return position - Math.floor(position) < 0.48 && isInside(u * shrink, v * shrink);
  };
}
