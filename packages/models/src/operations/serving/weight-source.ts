/** Declares where the weights of a serving graph come from: the loader of a model makes a source, the graph reads it. */
import path from "node:path";

/** The place of a weight's bytes in a file, as packages/checkpoint indexes it. */
export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Absolute path, or relative to the folder that the session is given where the source names none. */
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

/** A matrix [out, in] as blocks along `in` that share a scale: weight = (q − 2^(bits−1)) · scale. */
export interface QuantizedLinear {
  readonly bits: 4 | 8;
  /** Columns of a block. */
  readonly blockSize: number;
  /** uint8 [out, blocks, blockSize·bits/8], the even column in the low half of a byte. */
  readonly data: StoredTensor;
  /** float32 [out·blocks] */
  readonly scales: StoredTensor;
}

export interface WeightSource {
  /** The absolute folder that the session is given: graphs name the files relative to it. */
  readonly folder?: string;
  /** Throws when there is no such tensor. */
  get(name: string): StoredTensor;
  /** The matrix of this name, where it is quantized. */
  blocks?(name: string): QuantizedLinear | undefined;
  /**
   * When matrices of another type are cast to the compute type. "at-load" (default): once, for the fastest runs; they then
   * lie in memory, in float32 at twice the size of a file in half precision. "per-run": in every run that multiplies by
   * them; they stay mapped from the file.
   */
  readonly castWeights?: "at-load" | "per-run";
}

/** The name of a file in a graph: relative to the folder, with forward slashes, as ONNX wants it on every system. */
export function fileLocation({ folder }: WeightSource, file: string): string {
  return folder === undefined ? file : path.relative(folder, file).split(path.sep).join("/");
}
