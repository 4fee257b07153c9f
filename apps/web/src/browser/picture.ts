/**
 * From a file that somebody dropped, pasted or chose to a picture that can be sent; apart because it decides what leaves
 * the browser: upright, no larger than a model can use, without the camera's notes on place and time.
 */
import type { Sample } from "./samples.ts";

export interface Picture {
  readonly name: string;
  /** `data:image/png;base64,…` or `data:image/jpeg;base64,…`: both what is shown and what is sent. */
  readonly url: string;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** Present when it is one of the samples. */
  readonly sample?: Sample;
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
export async function readPicture(file: File): Promise<Picture> {
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
    return { name: file.name, url: await dataUrl(blob), width, height };
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

/** The first picture among files that came along with a drop or a paste. */
export function pictureAmong(files: Iterable<File> | undefined): File | null {
  for (const file of files ?? []) if (file.type.startsWith("image/")) return file;
  return null;
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

async function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(typeof reader.result === "string" ? reader.result : ""));
    reader.addEventListener("error", () =>
      reject(new PictureError("The file could not be read. Choose it again.")),
    );
    reader.readAsDataURL(blob);
  });
}
