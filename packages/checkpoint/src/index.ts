export { Checkpoint, type CheckpointOptions } from "./checkpoint.ts";
export { writeSafetensors, type WritableTensor } from "./safetensors-writer.ts";
export type { StoredDType, TensorEntry } from "./tensor-entry.ts";
