export { cacheFolder } from "./cache-folder.ts";
export { Checkpoint, type CheckpointFile, type CheckpointOptions } from "./checkpoint.ts";
export { type BlockFormat, dequantize, quantize } from "./quantization.ts";
export type { QuantizationPlan, QuantizedLinear } from "./quantized-layout.ts";
export {
  openQuantized,
  type QuantizedWeights,
  type QuantizeOptions,
  type QuantizeProgress,
} from "./quantized-weights.ts";
export { writeSafetensors, type WritableTensor } from "./safetensors-writer.ts";
export type { StoredDType, TensorEntry } from "./tensor-entry.ts";
