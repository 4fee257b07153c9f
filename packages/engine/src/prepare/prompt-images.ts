/** Turns the images of a request into pixels for the vision tower and positions in the prompt, by their plans. */
import { createHash } from "node:crypto";
import {
  type DecodePool,
  IMAGE_TOKEN,
  type ImagePlan,
  type PixelDescription,
  planImage,
} from "@llava/processing";
import type { ModelFolder } from "@llava/models";
import { LlavaError } from "@llava/protocol";
import type { ImageShapes } from "../api/request.ts";
import type { Prompt, PromptImage } from "../scheduler/sequence.ts";

type Model = Pick<ModelFolder["description"], "imageTokenId" | "pixels" | "text" | "vision">;

/** Files of a request, and how they become tiles. */
export interface ImageFiles {
  /** Encoded files, one for each image of the prompt, in order. */
  readonly images: readonly Uint8Array[];
  readonly shapes?: ImageShapes;
}

/** An image as the vision tower sees it. */
export interface TiledImage {
  readonly plan: ImagePlan;
  /** [tiles, 3, size, size] */
  readonly pixels: Float32Array;
}

/** @throws LlavaError `image_count_mismatch` unless there is an image for each mark of the prompt */
export function requireImages(compact: readonly number[], images: number): void {
  const places = compact.filter((id) => id === IMAGE_TOKEN).length;
  if (places === images) return;
  throw new LlavaError(
    "image_count_mismatch",
    `The prompt has ${places} <image> ${places === 1 ? "mark" : "marks"}, but ${images} ${images === 1 ? "image was" : "images were"} sent; send one image for each mark.`,
  );
}

/** Plans from the files' headers: nothing is decoded. Throws as `DecodePool.header`. */
export async function planImages(
  model: Model,
  { images, shapes }: ImageFiles,
  pool: DecodePool,
  signal: AbortSignal,
): Promise<readonly ImagePlan[]> {
  const plans: ImagePlan[] = [];
  for (const [index, bytes] of images.entries()) {
    const size = await pool.header(bytes, signal);
    plans.push(planImage(size, pixelsOf(model, shapes, index), model.vision.tokensPerImage));
  }
  return plans;
}

/** @param plans of `planImages` for the same files. Throws as `DecodePool.tiles`. */
export async function decodeImages(
  model: Model,
  { images }: ImageFiles,
  plans: readonly ImagePlan[],
  pool: DecodePool,
  signal: AbortSignal,
): Promise<readonly TiledImage[]> {
  const all: TiledImage[] = [];
  for (const [index, plan] of plans.entries()) {
    const bytes = images[index];
    if (bytes === undefined) throw new RangeError(`There is no file for image ${index}.`);
    all.push({ plan, pixels: await pool.tiles(bytes, plan, model.pixels, signal) });
  }
  return all;
}

/** Each image's mark becomes as many positions as its plan has tokens. */
export function expandPrompt(
  { imageTokenId, text }: Model,
  compact: readonly number[],
  images: readonly TiledImage[],
): Prompt {
  const placeholder = imageTokenId < text.vocabSize ? imageTokenId : 0;
  const ids: number[] = [];
  const placed: PromptImage[] = [];
  for (const id of compact) {
    const image = id === IMAGE_TOKEN ? images[placed.length] : undefined;
    if (!image) {
      ids.push(id);
      continue;
    }
    const { numTokens } = image.plan;
    placed.push({ ...image, key: imageKey(image), start: ids.length, tokens: numTokens });
    for (let i = 0; i < numTokens; i++) ids.push(placeholder);
  }
  return { ids, images: placed };
}

/** Equal for images of the same features, and only for those: the pixels of the tiles, and which of their rows are used. */
export function imageKey({ pixels, plan }: TiledImage): string {
  const { buffer, byteOffset, byteLength } = pixels;
  const hash = createHash("sha256").update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.update(JSON.stringify(plan.layout)).digest("base64");
}

/** How one of a request's images becomes tiles. */
function pixelsOf({ pixels }: Model, shapes: ImageShapes | undefined, index: number): PixelDescription {
  return { ...pixels, shape: shapes?.[index] ?? pixels.shape };
}
