/** What the page asks its image worker for, and what comes back. */
import type { SquareShape } from "@llava/processing/view";

import type { CropRect } from "./crop-rect.ts";

export type ImageTask =
  /** A file as it was given to what is sent; `cap` is the most of its longer side in pixels, null for any. */
  | { readonly kind: "prepare"; readonly file: Blob; readonly cap: number | null }
  /** A part of an image that was prepared, in its pixels. */
  | { readonly kind: "cut"; readonly blob: Blob; readonly part: CropRect }
  /** What a model sees of an image that was prepared. */
  | { readonly kind: "view"; readonly blob: Blob; readonly size: number; readonly shape: SquareShape }
  /** Pixels to a PNG: [size, size, 3]. */
  | { readonly kind: "encode"; readonly rgb: Uint8Array<ArrayBuffer>; readonly size: number };

export interface PreparedImage {
  readonly blob: Blob;
  readonly key: string;
  readonly width: number;
  readonly height: number;
  /** Of the file, upright. */
  readonly original: { readonly width: number; readonly height: number };
}

/** Why a file cannot be sent. */
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
  readonly cut: PreparedImage;
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
