export * from "./conversation.ts";
export * from "./description.ts";
export { type ModelFolder, type ModelOverrides, openModelFolder } from "./model-folder.ts";
export * from "./picture.ts";
export * from "./pixels.ts";
export * from "./prompt.ts";
export { IMAGE_TOKEN, type Tokenizer } from "./tokenizer.ts";
