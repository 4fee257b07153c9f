/** From a file to pixels that can be drawn, upright. */
import { fitted } from "./send-size.ts";
import type { Sniffed } from "./sniff.ts";

export interface Decoded {
  readonly image: ImageBitmap | VideoFrame;
  /** Of the file, upright, in pixels; the image may be smaller, not below what `cap` makes of them. */
  readonly width: number;
  readonly height: number;
}

/** @param cap the most of the longer side that is wanted, pixels; null for all. Rejects when nothing can be made of the file. */
export async function decode(file: Blob, sniffed: Sniffed, cap: number | null): Promise<Decoded> {
  const shrunk = await decodeShrunk(file, sniffed, cap).catch(() => null);
  if (shrunk !== null) return shrunk;
  const image = await createImageBitmap(file);
  return { image, width: image.width, height: image.height };
}

/** A JPEG's blocks are 8 × 8 frequencies, the lowest n × n of which make an image of n eighths in less time than the whole. */
const BLOCK = 8;

/** Null where the browser cannot, or nothing is saved. */
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
    // Upright it may be as high as the file is wide.
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
