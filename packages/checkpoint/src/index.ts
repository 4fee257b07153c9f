export { cacheFolder } from "./cache/cache-folder.ts";
export { Checkpoint, type CheckpointFile, type CheckpointOptions } from "./safetensors/checkpoint.ts";
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
