export { Checkpoint, type CheckpointOptions } from "./checkpoint.ts";
export { narrowToBfloat16, narrowToFloat16, widenBfloat16, widenFloat16 } from "./float16.ts";
export { isReadable, type ReadableDType, type StoredDType, type TensorEntry } from "./tensor-entry.ts";
export { writeSafetensors, type WritableTensor } from "./safetensors-writer.ts";
