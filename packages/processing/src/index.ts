export * from "./text/conversation.ts";
export * from "./files/model-file.ts";
export { parsePreprocessor } from "./image/preprocessor.ts";
export { type ImagePlan, mostTokens, planImage, type SquareShape } from "./image/plans/image-plan.ts";
export { arrangeRows } from "./image/plans/feature-layout.ts";
export {
  type Box,
  boxInImage,
  boxInOtherSquare,
  type ImageSize,
  imageInSquare,
  type Tile,
} from "./image/plans/tile.ts";
export * from "./image/decode/decode-image.ts";
export { DecodePool, type DecodePoolOptions } from "./image/decode/decode-pool.ts";
export { type PixelDescription, pixelValues } from "./image/pixels.ts";
export * from "./text/prompt.ts";
export { IMAGE_TOKEN, openTokenizer, type Tokenizer } from "./text/tokenizer.ts";
