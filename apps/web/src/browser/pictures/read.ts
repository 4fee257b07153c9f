/**
 * From a file that somebody dropped, pasted or chose to a picture that can be sent; apart because it decides what leaves
 * the browser: upright, no larger than a model can use, without the camera's notes on place and time.
 */
import { pictureKey } from "@llava/protocol/browser";

import type { PictureRef } from "../chat/types.ts";

export interface ReadPicture {
  readonly ref: PictureRef;
  /** PNG or JPEG, as it is sent. */
  readonly blob: Blob;
}

/** A sentence about a file that is no picture for us. */
export class PictureError extends Error {
  override readonly name = "PictureError";
}

/** Above this, models of the LLaVA family see nothing more: four tiles of 336 pixels. */
const MAX_EDGE = 1344;
const MAX_FILE_BYTES = 64 * 1024 * 1024;
/** A PNG up to this size goes as it is, byte for byte. */
const MAX_UNTOUCHED_BYTES = 1024 * 1024;
/** Up to this many pixels a PNG is small enough, and drawings keep their edges. */
const MAX_PNG_PIXELS = 512 * 512;
const JPEG_QUALITY = 0.9;

/** Throws `PictureError`. */
export async function readPicture(file: File): Promise<ReadPicture> {
  await refuseByContent(file);
  if (file.size > MAX_FILE_BYTES) {
    throw new PictureError(
      `"${file.name}" is larger than ${MAX_FILE_BYTES / 1024 / 1024} MB. Choose a smaller picture.`,
    );
  }
  const bitmap = await decode(file);
  try {
    const { width, height } = fitted(bitmap.width, bitmap.height);
    const isUntouched =
      file.type === "image/png" &&
      file.size <= MAX_UNTOUCHED_BYTES &&
      width === bitmap.width &&
      height === bitmap.height;
    const blob = isUntouched ? file : await redraw(bitmap, width, height);
    return { ref: { key: await keyOf(blob), name: file.name, width, height, mode: "default" }, blob };
  } finally {
    bitmap.close();
  }
}

/** The size in pixels at which a picture is sent: whole if it fits, else its longest side is `MAX_EDGE`. */
export function fitted(width: number, height: number): { width: number; height: number } {
  const scale = Math.min(1, MAX_EDGE / Math.max(width, height));
  const pixels = (edge: number): number => Math.max(1, Math.round(edge * scale));
  return { width: pixels(width), height: pixels(height) };
}

/** The pictures among files that came along with a drop or a paste. */
export function picturesAmong(files: Iterable<File>): readonly File[] {
  return [...files].filter(({ type }) => type.startsWith("image/"));
}

/** Upright: browsers apply the camera's orientation while decoding. */
async function decode(file: File): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file);
  } catch (cause) {
    const sentence = `This browser cannot read "${file.name}" as a picture. Use a PNG, JPEG or WebP file.`;
    throw new PictureError(sentence, { cause });
  }
}

async function redraw(bitmap: ImageBitmap, width: number, height: number): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (!context)
    throw new PictureError("This browser has no memory left for the picture. Choose a smaller one.");
  context.imageSmoothingQuality = "high";
  // JPEG knows no transparency: what shows through is paper, not black.
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  const isSmall = width * height <= MAX_PNG_PIXELS;
  return canvas.convertToBlob(
    isSmall ? { type: "image/png" } : { type: "image/jpeg", quality: JPEG_QUALITY },
  );
}

/** The hash of the file as it is sent, by which the server knows it. */
async function keyOf(blob: Blob): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return pictureKey(
    Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join(""),
  );
}

/** What browsers would show, or fail to, and models cannot use: said in words before anything is decoded. */
async function refuseByContent(file: File): Promise<void> {
  const head = new Uint8Array(await file.slice(0, 64).arrayBuffer());
  const text = String.fromCharCode(...head);
  const refuse = (why: string): never => {
    throw new PictureError(`"${file.name}" ${why}`);
  };
  if (text.startsWith("GIF8"))
    refuse("is a GIF. The model sees still pictures only: save one frame as PNG or JPEG.");
  if (/ftyp(hei[cxms]|mif1|msf1|hevc)/.test(text))
    refuse("is a HEIC picture, which browsers cannot read. Save it as JPEG or PNG first.");
  if (/^\s*<(\?xml|svg)/i.test(text)) refuse("is an SVG drawing. Save it as PNG first.");
}
