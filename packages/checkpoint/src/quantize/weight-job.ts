/** Work on whole tensors that is too long for the event loop: what a thread is asked and what it answers. */
import type { BlockFormat } from "./quantization.ts";
import type { ReadableDType } from "../tensors/tensor-entry.ts";

/** Bytes of a file. */
export interface FileRange {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

/** Reads a matrix and writes it as blocks and scales into a file that is there already. */
export interface QuantizeJob {
  readonly kind: "quantize";
  readonly source: FileRange & { readonly version: string; readonly dtype: ReadableDType };
  /** Of the matrix. */
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

/** CRC-32 of what was written or read: of blocks, then scales, or of the one range. */
export type Checksums = readonly number[];

export type ThreadAnswer =
  /** Bytes of the source read since the last such message. */
  | { readonly type: "progress"; readonly bytes: number }
  | { readonly type: "done"; readonly checksums: Checksums }
  /** The sentence of a LlavaError `invalid_checkpoint`. */
  | { readonly type: "damaged"; readonly message: string }
  | { readonly type: "failed"; readonly message: string };
