export * from "./language-model.ts";
export * from "./operations.ts";
export * from "./rotary.ts";
export * from "./serving-error.ts";
export * from "./serving-graphs.ts";
export type { StoredTensor, WeightSource } from "./serving-operations.ts";
export * from "./training-operations.ts";
export * from "./vision-tower.ts";
