/** Opens image files within limits and reads their headers: the only place that gives a client's bytes to native code. */
import { detectFormat, LlavaError } from "@llava/protocol";
import sharp, { type Sharp } from "sharp";
import type { ImageSize } from "../plans/tile.ts";

export interface ImageLimits {
  /** Most bytes of the encoded file. */
  readonly maxBytes: number;
  readonly maxPixels: number;
  readonly maxSide: number;
  /** Longer side over shorter side. */
  readonly maxAspect: number;
  /** Time of the clock, which runs on while other work has the processor. */
  readonly timeoutMs: number;
  /** Time of the processor, where a process of its own decodes the image. */
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
 * The size of a PNG, JPEG or WebP (of an animation the first frame) when it is upright by its EXIF orientation. Throws
 * `invalid_image` with a sentence for everything else and for sizes over the limits. No pixel is decoded.
 */
export async function readImageHeader(
  bytes: Uint8Array,
  limits: ImageLimits = IMAGE_LIMITS,
): Promise<ImageSize> {
  requireFileSize(bytes, limits);
  detectFormat(bytes);
  // libvips' own limit comes with the pixels, so that the sentence here can name the size that was found.
  const { width, height, autoOrient } = await openImage(bytes, false).metadata().catch(refuseDamaged);
  requireSize({ width, height }, limits);
  return { width: autoOrient.width, height: autoOrient.height };
}

/** @throws LlavaError `invalid_image` */
export function requireFileSize(bytes: Uint8Array, { maxBytes }: ImageLimits): void {
  if (bytes.length <= maxBytes) return;
  throw new LlavaError(
    "invalid_image",
    `The image's file is ${bytes.length} bytes long; at most ${maxBytes} are taken. Make it smaller and send it again.`,
  );
}

export function openImage(bytes: Uint8Array, maxPixels: number | false): Sharp {
  // A buffer, never a string: sharp would open a string as a path.
  return sharp(bytes, { failOn: "warning", limitInputPixels: maxPixels, pages: 1 });
}

export function refuseDamaged(cause: unknown): never {
  if (cause instanceof Error && cause.message.startsWith("timeout")) {
    throw new LlavaError(
      "invalid_image",
      "The image takes too long to decode. Make it smaller and send it again.",
      { cause },
    );
  }
  throw new LlavaError(
    "invalid_image",
    "The image's file is damaged or cut off. Save it again as PNG, JPEG or WebP and send that.",
    { cause },
  );
}

function requireSize({ width, height }: ImageSize, limits: ImageLimits): void {
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
