export * from "./demo/export.ts";
export * from "./demo/phases.ts";
export * from "./trainer.ts";
export * from "./training-state.ts";
export * from "./training-step.ts";
export * from "./demo/score.ts";
export type { EvaluationItem } from "./demo/evaluation.ts";
export { render } from "./demo/render.ts";
export { SCENE_SIZE } from "./demo/scene.ts";
