export { appendAdamW, OPTIMIZER_IO } from "./adamw.ts";
export { BatchBuffer } from "./batch-buffer.ts";
export { initialValues } from "./initialization.ts";
export * from "./trainer.ts";
export * from "./training-state.ts";
export type { StepResult, TrainingStep } from "./training-step.ts";
