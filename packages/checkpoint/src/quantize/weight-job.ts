/** A weight job is work on a whole tensor that is too long for the event loop, and what its thread answers. */
import type { BlockFormat } from "./quantization.ts";
import type { ReadableDType } from "../tensors/tensor-entry.ts";

/** A part of a file, in bytes. */
export interface FileRange {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

/** Reads a matrix and writes it as blocks and scales into a file that is there already. */
export interface QuantizeJob {
  readonly kind: "quantize";
  readonly source: FileRange & { readonly version: string; readonly dtype: ReadableDType };
  /** Length of the matrix's rows. */
  readonly columns: number;
  readonly format: BlockFormat;
  readonly blocks: FileRange;
  readonly scales: FileRange;
}

export interface CopyJob {
  readonly kind: "copy";
  readonly source: FileRange & { readonly version: string };
  readonly target: FileRange;
}

export interface ChecksumJob {
  readonly kind: "checksum";
  readonly source: FileRange;
}

export type WeightJob = QuantizeJob | CopyJob | ChecksumJob;

/** CRC-32 of each part that was written or read: the blocks and the scales, or the one range. */
export type Checksums = readonly number[];

export type ThreadAnswer =
  /** The count of bytes of the source that were read since the last such message. */
  | { readonly type: "progress"; readonly bytes: number }
  | { readonly type: "done"; readonly checksums: Checksums }
  /** `message` is the sentence of a LlavaError `invalid_checkpoint`. */
  | { readonly type: "damaged"; readonly message: string }
  | { readonly type: "failed"; readonly message: string };
