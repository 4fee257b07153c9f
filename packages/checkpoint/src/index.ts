export { cacheFolder } from "./cache/cache-folder.ts";
export { Checkpoint, type CheckpointOptions, type CheckpointSource } from "./source/checkpoint.ts";
export type { CheckpointFile } from "./tensors/tensor-index.ts";
export { type BlockFormat, dequantize, quantize } from "./quantize/quantization.ts";
export type { QuantizationPlan, QuantizedLinear } from "./quantize/quantized-layout.ts";
export {
  openQuantized,
  type QuantizedWeights,
  type QuantizeOptions,
  type QuantizeProgress,
} from "./quantize/quantized-weights.ts";
export { writeSafetensors, type WritableTensor } from "./safetensors/safetensors-writer.ts";
export type { StoredDType, TensorEntry } from "./tensors/tensor-entry.ts";
