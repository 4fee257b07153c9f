/** Decodes an image file to pixels that can be drawn, rotated by its EXIF orientation. */
import { fitted } from "./send-size.ts";
import type { Sniffed } from "./sniff.ts";

export interface Decoded {
  readonly image: ImageBitmap | VideoFrame;
  /** Size of the file's image in pixels, upright; `image` may be smaller, but not smaller than `cap` demands. */
  readonly width: number;
  readonly height: number;
}

/** @param cap most pixels of the longer side that are needed; null for all. Rejects when the file cannot be decoded. */
export async function decode(file: Blob, sniffed: Sniffed, cap: number | null): Promise<Decoded> {
  const shrunk = await decodeShrunk(file, sniffed, cap).catch(() => null);
  if (shrunk !== null) return shrunk;
  const image = await createImageBitmap(file);
  return { image, width: image.width, height: image.height };
}

/**
 * Edge of a JPEG's blocks of frequencies: decoding only the lowest n × n of 8 × 8 gives an image of n eighths in less
 * time than the whole.
 */
const BLOCK = 8;

/** Null where the browser has no `ImageDecoder`, or where nothing would be saved. */
async function decodeShrunk(
  file: Blob,
  { kind, size }: Sniffed,
  cap: number | null,
): Promise<Decoded | null> {
  if (kind !== "jpeg" || size === null || !("ImageDecoder" in self)) return null;
  const wanted = fitted(size.width, size.height, cap);
  const eighths = Math.ceil(BLOCK * Math.max(wanted.width / size.width, wanted.height / size.height));
  if (eighths > BLOCK / 2) return null;
  const decoder = new ImageDecoder({
    data: await file.arrayBuffer(),
    type: "image/jpeg",
    desiredWidth: Math.ceil((size.width * eighths) / BLOCK),
    desiredHeight: Math.ceil((size.height * eighths) / BLOCK),
  });
  try {
    const { image, complete } = await decoder.decode();
    // With an EXIF rotation the decoded image is as high as the file is wide.
    const isTurned = image.displayWidth > image.displayHeight !== size.width > size.height;
    const [width, height] = isTurned ? [size.height, size.width] : [size.width, size.height];
    const least = fitted(width, height, cap);
    if (complete && image.displayWidth >= least.width && image.displayHeight >= least.height)
      return { image, width, height };
    image.close();
    return null;
  } finally {
    decoder.close();
  }
}
