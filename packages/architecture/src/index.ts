export * from "./language-model.ts";
export * from "./operations.ts";
export * from "./rotary.ts";
export * from "./serving-error.ts";
export * from "./serving-graphs.ts";
export * from "./training-operations.ts";
export * from "./vision-tower.ts";
export type { QuantizedLinear, StoredTensor, WeightSource } from "./weight-source.ts";
