/** A tensor entry is one tensor of a checkpoint as its file describes it. */

/** Size of one element in bytes, for the dtypes of the safetensors format that whole bytes can hold; no others are indexed. */
export const BYTES_PER_ELEMENT = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;

export type StoredDType = keyof typeof BYTES_PER_ELEMENT;

/** The dtypes that `Checkpoint.read` turns into float32. */
export type ReadableDType = "F32" | "F16" | "BF16";

export interface TensorEntry {
  readonly name: string;
  readonly dtype: StoredDType;
  /** Sizes of the axes, row-major; `[]` is a scalar. */
  readonly shape: readonly number[];
  /** Absolute path of the file. */
  readonly file: string;
  /** Place of the first element, bytes from the start of the file. */
  readonly offset: number;
  /** Size in bytes. */
  readonly length: number;
}

export function isReadable(dtype: StoredDType): dtype is ReadableDType {
  return dtype === "F32" || dtype === "F16" || dtype === "BF16";
}

/** More axes than any architecture has; a longer shape is an attack or damage. */
export const MAX_AXES = 8;
/** Most tensors of one file, and of a whole checkpoint. The largest published language models have a few thousand. */
export const MAX_TENSORS = 100_000;
/** A hundred thousand tensors need about 20 MB of header. */
export const MAX_HEADER_BYTES = 25_000_000;
