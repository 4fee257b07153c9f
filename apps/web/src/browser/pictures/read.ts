/**
 * From a file that somebody dropped, pasted or chose to a picture that can be sent; apart because it decides what leaves
 * the browser: upright, no larger than a model can use, without the camera's notes on place and time.
 */
import type { PictureRef } from "../chat/types.ts";
import { TEXTS } from "../texts.ts";
import { PictureRefused, work } from "./desk.ts";
import { chosenCap } from "./size.ts";

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
    const refusal = cause instanceof PictureRefused ? cause.refusal : "no_memory";
    throw new PictureError(TEXTS.pictures.refusals[refusal](file.name), { cause });
  }
}

/** The pictures among files that came along with a drop or a paste. */
export function picturesAmong(files: Iterable<File>): readonly File[] {
  return [...files].filter(({ type }) => type.startsWith("image/"));
}
