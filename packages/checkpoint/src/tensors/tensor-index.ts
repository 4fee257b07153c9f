/** A tensor index is what each format of checkpoints makes of a folder: stored names, and where their data lies. */
import type { TensorEntry } from "./tensor-entry.ts";

/** One file of weights, as it was when the checkpoint was opened. */
export interface CheckpointFile {
  /** Absolute path, without links on the way to the folder. */
  readonly path: string;
  /** Bare name inside its folder. */
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  /** Time of the last change, Unix milliseconds. */
  readonly modifiedMs: number;
  /** SHA-256 of the header, which lists the tensors, hex. */
  readonly headerHash: string;
  /** Equal for two openings unless the file was replaced or written in between. */
  readonly version: string;
}

export interface TensorIndex {
  /** Tensors under their stored names, file by file in the order of the data. */
  readonly entries: readonly TensorEntry[];
  readonly files: readonly CheckpointFile[];
}
