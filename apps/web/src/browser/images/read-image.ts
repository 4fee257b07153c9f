/**
 * Turns a file that was dropped, pasted or chosen into an image that can be sent. It decides what leaves the browser:
 * the image upright, no larger than a model can use, and without metadata on place and time.
 */
import type { ImageRef } from "../services/store/records.ts";
import { TEXTS } from "../ui/texts.ts";
import { ImageRefused, work } from "./worker/image-worker-client.ts";
import type { CropRect } from "./worker/crop-rect.ts";
import { chosenCap } from "./worker/send-size.ts";

export interface ReadImage {
  readonly ref: ImageRef;
  /** The file as it is sent, PNG or JPEG. */
  readonly blob: Blob;
}

/** A sentence about a file that cannot be used as an image. */
export class ImageError extends Error {
  override readonly name = "ImageError";
}

const MAX_FILE_BYTES = 64 * 1024 * 1024;

export interface ReadOptions {
  /** Most pixels of the longer side; null for no limit. */
  readonly cap?: number | null;
}

/** Throws `ImageError`. */
export async function readImage(file: File, { cap = chosenCap() }: ReadOptions = {}): Promise<ReadImage> {
  if (file.size > MAX_FILE_BYTES)
    throw new ImageError(TEXTS.images.tooLarge(file.name, MAX_FILE_BYTES / 1024 / 1024));
  try {
    const { blob, key, width, height, original } = await work({ kind: "prepare", file, cap });
    const isShrunk = original.width !== width || original.height !== height;
    return {
      ref: { key, name: file.name, width, height, mode: "default", ...(isShrunk ? { original } : {}) },
      blob,
    };
  } catch (cause) {
    throw new ImageError(sentenceOf(cause, file.name), { cause });
  }
}

/** A part of an image, without the description and the questions of the whole. Throws `ImageError`. */
export async function cropImage(image: ImageRef, blob: Blob, rect: CropRect): Promise<ReadImage> {
  const { name, mode, isDrawing } = image;
  try {
    const { width, height, ...made } = await work({ kind: "crop", blob, rect });
    return {
      ref: { key: made.key, name, width, height, mode, ...(isDrawing ? { isDrawing } : {}) },
      blob: made.blob,
    };
  } catch (cause) {
    throw new ImageError(sentenceOf(cause, name), { cause });
  }
}

function sentenceOf(cause: unknown, name: string): string {
  return TEXTS.images.refusals[cause instanceof ImageRefused ? cause.refusal : "no_memory"](name);
}

/** The images among the files of a drop or a paste. */
export function imagesAmong(files: Iterable<File>): readonly File[] {
  return [...files].filter(({ type }) => type.startsWith("image/"));
}
