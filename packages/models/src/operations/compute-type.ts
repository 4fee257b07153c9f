/** Names the float types that a model can be computed in; a type of weights in files is another matter. */

/**
 * The element type of activations, of keys and values, and of image features. Weights that are stored in another type
 * are cast to it. Token ids are integers, pixels enter and logits leave every graph as float32, and the statistics of
 * norms and the sums inside kernels are float32 where the kernel has them so.
 */
export type ComputeType = "float32" | "float16" | "bfloat16";

/** Bytes of one number of each type. */
export const COMPUTE_TYPE_BYTES: Readonly<Record<ComputeType, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
};
