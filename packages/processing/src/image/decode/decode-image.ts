/** A file becomes pixels: the only place that hands a stranger's bytes to native code, and therefore where the limits are. */
import { createHash } from "node:crypto";
import { detectFormat, LlavaError } from "@llava/protocol";
import sharp, { type Metadata, type Sharp } from "sharp";
import { EventLoopYielder } from "../yielder.ts";
import type { Image } from "../resample.ts";

export type { Image };

export interface ImageLimits {
  /** Of the encoded file. */
  readonly maxBytes: number;
  readonly maxPixels: number;
  readonly maxSide: number;
  /** Longer side over shorter side. */
  readonly maxAspect: number;
  /** Of the clock, which runs on while others have the processor. */
  readonly timeoutMs: number;
  /** Of the processor, where a process of its own decodes the image. */
  readonly processorMs: number;
}

export const IMAGE_LIMITS: ImageLimits = {
  maxBytes: 10 * 1024 * 1024,
  maxPixels: 40_000_000,
  maxSide: 16_384,
  maxAspect: 200,
  timeoutMs: 30_000,
  processorMs: 5_000,
};

// Decoded images are large and each is used once: libvips' cache would only hold memory. One thread per image,
// because the cores belong to the model. Only three loaders may run in this process, whatever a file claims to be.
sharp.cache(false);
sharp.concurrency(1);
sharp.block({ operation: ["VipsForeignLoad"] });
sharp.unblock({
  operation: ["VipsForeignLoadPngBuffer", "VipsForeignLoadJpegBuffer", "VipsForeignLoadWebpBuffer"],
});

/**
 * Decodes a PNG, JPEG or WebP (of an animation the first frame), turns it upright by its EXIF orientation, converts it
 * to 8-bit sRGB and lays it on white where it is transparent. Throws `invalid_image` with a sentence for everything
 * else; dimensions are refused from the header, before anything is decoded.
 */
export async function decodeImage(
  bytes: Uint8Array,
  limits: ImageLimits = IMAGE_LIMITS,
  signal?: AbortSignal,
): Promise<Image> {
  requireFileSize(bytes, limits);
  detectFormat(bytes);
  const pace = new EventLoopYielder(signal);
  checkDimensions(await readHeader(bytes), limits);
  pace.throwIfCancelled();
  const image = openImage(bytes, limits.maxPixels)
    .timeout({ seconds: Math.ceil(limits.timeoutMs / 1000) })
    .autoOrient()
    .toColourspace("srgb")
    .raw({ depth: "uchar" });
  const { data, info } = await image.toBuffer({ resolveWithObject: true }).catch(refuseDamaged);
  pace.throwIfCancelled();
  const pixels = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const rgb = info.channels === 4 ? await layOnWhite(pixels, pace) : pixels;
  if (rgb.length !== info.width * info.height * 3) throw damaged(`${info.channels} channels`);
  return { width: info.width, height: info.height, rgb };
}

/** @throws LlavaError `invalid_image` */
export function requireFileSize(bytes: Uint8Array, { maxBytes }: ImageLimits): void {
  if (bytes.length <= maxBytes) return;
  throw new LlavaError(
    "invalid_image",
    `The image's file is ${bytes.length} bytes long; at most ${maxBytes} are taken. Make it smaller and send it again.`,
  );
}

/** SHA-256 of the size and the pixels, hex: the image's identity, whatever file it came in. */
export async function imageHash(image: Image, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256").update(`${image.width}x${image.height}\n`);
  const pace = new EventLoopYielder(signal);
  for (let start = 0; start < image.rgb.length; start += HASH_BYTES) {
    hash.update(image.rgb.subarray(start, start + HASH_BYTES));
    if (pace.isDue) await pace.rest();
  }
  return hash.digest("hex");
}

/** One or two milliseconds of hashing. */
const HASH_BYTES = 1024 * 1024;

function openImage(bytes: Uint8Array, maxPixels: number | false): Sharp {
  // A buffer, never a string: sharp would open a string as a path.
  return sharp(bytes, { failOn: "warning", limitInputPixels: maxPixels, pages: 1 });
}

/** The limit comes after, so that the sentence can name the size that was found. */
async function readHeader(bytes: Uint8Array): Promise<Metadata> {
  return await openImage(bytes, false).metadata().catch(refuseDamaged);
}

function checkDimensions({ width, height }: Metadata, limits: ImageLimits): void {
  const size = `The image is ${width} × ${height} pixels`;
  if (Math.max(width, height) > limits.maxSide) {
    throw new LlavaError(
      "invalid_image",
      `${size}; a side may have at most ${limits.maxSide}. Make it smaller and send it again.`,
    );
  }
  if (width * height > limits.maxPixels) {
    throw new LlavaError(
      "invalid_image",
      `${size}, ${width * height} in all; at most ${limits.maxPixels} are taken. Make it smaller and send it again.`,
    );
  }
  if (Math.max(width, height) > limits.maxAspect * Math.min(width, height)) {
    throw new LlavaError(
      "invalid_image",
      `${size}; one side may be at most ${limits.maxAspect} times the other. Cut out the part that matters and send that.`,
    );
  }
}

/** [n, 4] to [n, 3] over white, rounded as in PIL's `Image.paste` with a mask. */
async function layOnWhite(rgba: Uint8Array, pace: EventLoopYielder): Promise<Uint8Array> {
  const pixels = rgba.length / 4;
  const rgb = new Uint8Array(pixels * 3);
  for (let start = 0; start < pixels; start += PIXELS_PER_LOOK) {
    const end = Math.min(pixels, start + PIXELS_PER_LOOK);
    blendPixels(rgba, rgb, start, end);
    if (pace.isDue) await pace.rest();
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

/** Of a value with 128 added: equal to rounding the quotient, for all values up to 255 * 255. */
function divideBy255(value: number): number {
  return (value + (value >> 8)) >> 8;
}

function refuseDamaged(cause: unknown): never {
  throw damaged(cause);
}

function damaged(cause: unknown): LlavaError {
  if (cause instanceof Error && cause.message.startsWith("timeout")) {
    return new LlavaError(
      "invalid_image",
      "The image takes too long to decode. Make it smaller and send it again.",
      {
        cause,
      },
    );
  }
  return new LlavaError(
    "invalid_image",
    "The image's file is damaged or cut off. Save it again as PNG, JPEG or WebP and send that.",
    { cause },
  );
}
