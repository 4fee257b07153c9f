/** Decodes an image's file to upright, opaque sRGB pixels, and names them by their hash. */
import { createHash } from "node:crypto";
import { EventLoopYielder } from "../yielder.ts";
import type { Image } from "../resample.ts";
import { IMAGE_LIMITS, type ImageLimits, openImage, readImageHeader, refuseDamaged } from "./image-header.ts";

export type { Image };

/**
 * Decodes a PNG, JPEG or WebP (of an animation the first frame), turns it upright by its EXIF orientation, converts it
 * to 8-bit sRGB and lays it on white where it is transparent. Throws `invalid_image` with a sentence for everything
 * else; sizes are refused from the header, before anything is decoded.
 */
export async function decodeImage(
  bytes: Uint8Array,
  limits: ImageLimits = IMAGE_LIMITS,
  signal?: AbortSignal,
): Promise<Image> {
  const header = await readImageHeader(bytes, limits);
  const turns = new EventLoopYielder(signal);
  turns.throwIfCancelled();
  const image = openImage(bytes, limits.maxPixels)
    .timeout({ seconds: Math.ceil(limits.timeoutMs / 1000) })
    .autoOrient()
    .toColourspace("srgb")
    .raw({ depth: "uchar" });
  const { data, info } = await image.toBuffer({ resolveWithObject: true }).catch(refuseDamaged);
  turns.throwIfCancelled();
  const { width, height } = info;
  if (width !== header.width || height !== header.height) refuseDamaged("another size than in its header");
  const pixels = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const rgb = info.channels === 4 ? await layOnWhite(pixels, turns) : pixels;
  if (rgb.length !== width * height * 3) refuseDamaged(`${info.channels} channels`);
  return { width, height, rgb };
}

/** SHA-256 of the size and the pixels, hex: equal for equal images, whatever file they came in. */
export async function imageHash(image: Image, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256").update(`${image.width}x${image.height}\n`);
  const turns = new EventLoopYielder(signal);
  for (let start = 0; start < image.rgb.length; start += HASH_BYTES) {
    hash.update(image.rgb.subarray(start, start + HASH_BYTES));
    if (turns.isDue) await turns.rest();
  }
  return hash.digest("hex");
}

/** One or two milliseconds of hashing. */
const HASH_BYTES = 1024 * 1024;

/** [n, 4] to [n, 3] over white, rounded as in PIL's `Image.paste` with a mask. */
async function layOnWhite(rgba: Uint8Array, turns: EventLoopYielder): Promise<Uint8Array> {
  const pixels = rgba.length / 4;
  const rgb = new Uint8Array(pixels * 3);
  for (let start = 0; start < pixels; start += PIXELS_PER_LOOK) {
    const end = Math.min(pixels, start + PIXELS_PER_LOOK);
    blendPixels(rgba, rgb, start, end);
    if (turns.isDue) await turns.rest();
  }
  return rgb;
}

const PIXELS_PER_LOOK = 65_536;

function blendPixels(rgba: Uint8Array, rgb: Uint8Array, start: number, end: number): void {
  let to = start * 3;
  for (let from = start * 4; from < end * 4; from += 4) {
    const alpha = rgba[from + 3]!;
    const white = 255 * (255 - alpha) + 128;
    rgb[to++] = divideBy255(rgba[from]! * alpha + white);
    rgb[to++] = divideBy255(rgba[from + 1]! * alpha + white);
    rgb[to++] = divideBy255(rgba[from + 2]! * alpha + white);
  }
}

/** The argument is the value with 128 added: equal to rounding the quotient, for all values up to 255 * 255. */
function divideBy255(value: number): number {
  return (value + (value >> 8)) >> 8;
}
