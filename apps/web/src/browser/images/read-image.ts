/**
 * From a file that somebody dropped, pasted or chose to a picture that can be sent; apart because it decides what leaves
 * the browser: upright, no larger than a model can use, without the camera's notes on place and time.
 */
import type { PictureRef } from "../services/store/records.ts";
import { TEXTS } from "../ui/texts.ts";
import { PictureRefused, work } from "./worker/image-worker-client.ts";
import type { Part } from "./worker/crop-rect.ts";
import { chosenCap } from "./worker/send-size.ts";

export interface ReadPicture {
  readonly ref: PictureRef;
  /** PNG or JPEG, as it is sent. */
  readonly blob: Blob;
}

/** A sentence about a file that is no picture for us. */
export class PictureError extends Error {
  override readonly name = "PictureError";
}

const MAX_FILE_BYTES = 64 * 1024 * 1024;

export interface ReadOptions {
  /** Most of its longer side, pixels; null for any. */
  readonly cap?: number | null;
}

/** Throws `PictureError`. */
export async function readPicture(file: File, { cap = chosenCap() }: ReadOptions = {}): Promise<ReadPicture> {
  if (file.size > MAX_FILE_BYTES)
    throw new PictureError(TEXTS.pictures.tooLarge(file.name, MAX_FILE_BYTES / 1024 / 1024));
  try {
    const { blob, key, width, height, original } = await work({ kind: "prepare", file, cap });
    const isShrunk = original.width !== width || original.height !== height;
    return {
      ref: { key, name: file.name, width, height, mode: "default", ...(isShrunk ? { original } : {}) },
      blob,
    };
  } catch (cause) {
    throw new PictureError(sentenceOf(cause, file.name), { cause });
  }
}

/** A part of a picture. What was known of the whole is not said of it. Throws `PictureError`. */
export async function cutPicture(picture: PictureRef, blob: Blob, part: Part): Promise<ReadPicture> {
  const { name, mode, isDrawing } = picture;
  try {
    const { width, height, ...made } = await work({ kind: "cut", blob, part });
    return {
      ref: { key: made.key, name, width, height, mode, ...(isDrawing ? { isDrawing } : {}) },
      blob: made.blob,
    };
  } catch (cause) {
    throw new PictureError(sentenceOf(cause, name), { cause });
  }
}

function sentenceOf(cause: unknown, name: string): string {
  return TEXTS.pictures.refusals[cause instanceof PictureRefused ? cause.refusal : "no_memory"](name);
}

/** The pictures among files that came along with a drop or a paste. */
export function picturesAmong(files: Iterable<File>): readonly File[] {
  return [...files].filter(({ type }) => type.startsWith("image/"));
}
