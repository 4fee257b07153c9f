/**
 * The scenes that the demo model was trained on: scenes as data, their pixels, and questions about them with true answers.
 * Every file here runs in a browser, because the page draws scenes too.
 */
export * from "./drawing/build.ts";
export * from "./questions/captions.ts";
export * from "./questions/phrases.ts";
export * from "./questions/question.ts";
export { aboutObject, questionFor } from "./questions/questions.ts";
export * from "./drawing/keyed-random.ts";
export * from "./drawing/rasterizer.ts";
export { answerTo, SAMPLE_SCENES, type SampleScene } from "./questions/sample-scenes.ts";
export * from "./drawing/scene.ts";
export * from "./questions/suggestions.ts";
export type { Rgb } from "./drawing/shades.ts";
export * from "./drawing/vocabulary.ts";
export * from "./questions/english.ts";
