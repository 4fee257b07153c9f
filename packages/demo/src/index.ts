/** The demo model: its recipe, its export and its evaluation. Its scenes, which a browser can load, are `@llava/demo/scenes`. */
export * from "./evaluation/score.ts";
export * from "./recipe/export-checkpoint.ts";
export * from "./recipe/phases.ts";
