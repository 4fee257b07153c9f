export * from "./conversation.ts";
export * from "./description.ts";
export { type ModelFolder, type ModelOverrides, openModelFolder } from "./model-folder.ts";
export { modelNameFromPath } from "./model-name.ts";
export * from "./picture.ts";
export * from "./pixels.ts";
export * from "./prompt.ts";
export { createTokenizer, IMAGE_TOKEN, openTokenizer, type Tokenizer } from "./tokenizer.ts";
