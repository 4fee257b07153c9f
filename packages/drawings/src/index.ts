/**
 * The drawings that the demo model was trained on: scenes as data, their pixels, and questions about them with true
 * answers. Apart from training because the page draws them too; runs in a browser.
 */
export * from "./build.ts";
export * from "./captions.ts";
export * from "./phrases.ts";
export * from "./question.ts";
export { aboutObject, questionFor } from "./questions.ts";
export * from "./random.ts";
export * from "./render.ts";
export { answerTo, SAMPLE_SCENES, type SampleScene } from "./samples.ts";
export * from "./scene.ts";
export * from "./suggestions.ts";
export type { Rgb } from "./shades.ts";
export * from "./vocabulary.ts";
export * from "./words.ts";
