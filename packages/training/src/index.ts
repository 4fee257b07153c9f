/** Training on ONNX Runtime: datasets, phases, the optimizer, the state of a run and the loop. */
export { type Batch, type BatchArray, BatchBuffer } from "./data/batch-buffer.ts";
export * from "./data/dataset.ts";
export * from "./data/sample-order.ts";
export * from "./loop/forward-pass.ts";
export * from "./loop/phase.ts";
export * from "./loop/trainer.ts";
export type { StepResult, TrainingStep } from "./loop/training-step.ts";
export { appendAdamW, type AdamWOptions, OPTIMIZER_IO } from "./optimizer/adamw.ts";
export type { Schedule } from "./optimizer/schedule.ts";
export { initialValues, type UniformSource } from "./state/initialization.ts";
export * from "./state/training-state.ts";
