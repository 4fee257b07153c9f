/** Describes the tasks of the image worker and their results. */
import type { SquareShape } from "@llava/processing/view";

import type { CropRect } from "./crop-rect.ts";

export type ImageTask =
  /**
   * Makes the file that is sent from the one that was given; `cap` is the most pixels of the longer side, null for no
   * limit.
   */
  | { readonly kind: "prepare"; readonly file: Blob; readonly cap: number | null }
  /** Crops a prepared image; `rect` is in its pixels. */
  | { readonly kind: "crop"; readonly blob: Blob; readonly rect: CropRect }
  /** Computes what a model sees of a prepared image. */
  | { readonly kind: "view"; readonly blob: Blob; readonly size: number; readonly shape: SquareShape }
  /** Encodes pixels [size, size, 3] as PNG. */
  | { readonly kind: "encode"; readonly rgb: Uint8Array<ArrayBuffer>; readonly size: number };

export interface PreparedImage {
  readonly blob: Blob;
  readonly key: string;
  readonly width: number;
  readonly height: number;
  /** Size of the given file's image in pixels, upright. */
  readonly original: { readonly width: number; readonly height: number };
}

/** Reason for which a file cannot be sent. */
export type Refusal =
  | "animation"
  | "heic"
  | "svg"
  | "pdf"
  | "video"
  | "unreadable"
  | "too_many_pixels"
  | "too_narrow"
  | "too_heavy"
  | "no_memory";

export interface TaskResult {
  readonly prepare: PreparedImage;
  readonly crop: PreparedImage;
  readonly view: ImageBitmap;
  readonly encode: PreparedImage;
}

export interface TaskMessage {
  readonly id: number;
  readonly task: ImageTask;
}

export type TaskAnswer =
  | { readonly id: number; readonly result: TaskResult[keyof TaskResult] }
  | { readonly id: number; readonly refusal: Refusal };
