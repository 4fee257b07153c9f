/** Declares where the weights of a serving graph come from: the loader of a model makes a source, the graph reads it. */

/** The place of a weight's bytes in a file, as packages/checkpoint indexes it. */
export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** File name inside the checkpoint's folder. */
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
