export * from "./demo/export.ts";
export * from "./demo/phases.ts";
export * from "./trainer.ts";
export * from "./training-state.ts";
