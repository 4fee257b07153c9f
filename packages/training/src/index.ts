export { BatchBuffer } from "./batch-buffer.ts";
export type { EvaluationItem } from "./demo/evaluation.ts";
export * from "./demo/export.ts";
export * from "./demo/phases.ts";
export * from "./demo/score.ts";
export * from "./trainer.ts";
export * from "./training-state.ts";
export type { StepResult, TrainingStep } from "./training-step.ts";
