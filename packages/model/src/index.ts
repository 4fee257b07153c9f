export * from "./conversation.ts";
export * from "./description.ts";
export { modelNameFromPath } from "./model-name.ts";
export { type ModelFolder, type ModelOverrides, openModelFolder } from "./model-folder.ts";
export * from "./picture.ts";
export { PicturePool, type PicturePoolOptions } from "./picture-pool.ts";
export * from "./pixels.ts";
export * from "./prompt.ts";
export { IMAGE_TOKEN, type Tokenizer } from "./tokenizer.ts";
