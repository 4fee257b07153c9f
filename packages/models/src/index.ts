export * from "./description/model-description.ts";
export { canonicalTensorName } from "./llava/tensor-names.ts";
export { modelNameFromPath } from "./llava/model-name.ts";
export {
  type ModelFolder,
  type ModelOverrides,
  openModelFolder,
  type WeightFolder,
} from "./llava/model-folder.ts";
export * from "./registry/family-registry.ts";
export * from "./operations/compute-type.ts";
export * from "./operations/operations.ts";
export * from "./operations/rotary.ts";
export * from "./operations/serving/serving-error.ts";
export * from "./operations/serving/serving-graphs.ts";
export * from "./operations/training/training-operations.ts";
export type { QuantizedLinear, StoredTensor, WeightSource } from "./operations/serving/weight-source.ts";
