/** The sizes of the float types that a model can be computed in; a type of weights in files is another matter. */
import type { ComputeType } from "@llava/onnx";

export type { ComputeType } from "@llava/onnx";

/** Bytes of one number of each type. */
export const COMPUTE_TYPE_BYTES: Readonly<Record<ComputeType, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
};
