/**
 * Reads preprocessor_config.json, which says how images become numbers: the processors of different years write the same
 * thing in different forms.
 */
import { LlavaError } from "@llava/protocol";
import { z } from "zod";
import type { PixelDescription } from "./pixels.ts";
import { parseModelJson } from "../files/model-file.ts";
import { CLIP_MEAN } from "./view.ts";

export { CLIP_MEAN };

/** Pillow's number for bicubic, the only filter that resample.ts has. */
const BICUBIC = 3;

/**
 * `value` is the content of preprocessor_config.json (or `image_processor` of the newer processor_config.json);
 * `imageSize` is the tower's input edge, pixels. Throws `unsupported_model` where a step differs from CLIP's.
 */
export function parsePreprocessor(value: unknown, imageSize: number): PixelDescription {
  const raw = parseModelJson("preprocessor_config.json", preprocessorSchema, value);
  for (const step of ["do_resize", "do_rescale", "do_normalize"] as const) {
    if (raw[step] === false) throw unsupported(`${step} is false`);
  }
  if ((raw.resample ?? BICUBIC) !== BICUBIC)
    throw unsupported(`resample is ${raw.resample}, not ${BICUBIC} (bicubic)`);
  const shape = raw.do_pad === true ? "pad" : "crop";
  if (shape === "crop" && raw.do_center_crop === false) throw unsupported("do_center_crop is false");
  requireSize("size", edge(raw.size, shape) ?? imageSize, imageSize);
  requireSize("crop_size", edge(raw.crop_size, "pad") ?? imageSize, imageSize);
  return {
    size: imageSize,
    shape,
    mean: raw.image_mean ?? CLIP_MEAN,
    std: raw.image_std ?? CLIP_STD,
    rescale: raw.rescale_factor ?? 1 / 255,
  };
}

/** openai/clip-vit-large-patch14-336, as CLIP_MEAN. */
export const CLIP_STD = [0.26862954, 0.26130258, 0.27577711] as const;

/** Height and width make a square of a padded image, but would stretch any other. */
function edge(size: RawSize, shape: "pad" | "crop"): number | null {
  if (size === null || size === undefined) return null;
  if (typeof size === "number") return size;
  if (size.shortest_edge !== undefined) return size.shortest_edge;
  if (size.height === undefined || size.height !== size.width) {
    throw unsupported(`a size is ${JSON.stringify(size)}, not a square`);
  }
  if (shape === "crop") throw unsupported("size has height and width, which stretches images");
  return size.height;
}

function requireSize(key: string, found: number, imageSize: number): void {
  if (found === imageSize) return;
  throw new LlavaError(
    "invalid_checkpoint",
    `preprocessor_config.json: ${key} is ${found}, but the vision tower of config.json takes ${imageSize} pixels. The two files belong to different models; copy both from the same place.`,
  );
}

function unsupported(what: string): LlavaError {
  return new LlavaError(
    "unsupported_model",
    `This model's images cannot be prepared: in preprocessor_config.json ${what}. Take a model with CLIP's own processing, for example llava-hf/llava-1.5-7b-hf.`,
  );
}

const pixels = z.int().min(1).max(16_384);
const sizeSchema = z
  .union([
    pixels,
    z.object({ shortest_edge: pixels.optional(), height: pixels.optional(), width: pixels.optional() }),
  ])
  .nullish();
type RawSize = z.output<typeof sizeSchema>;

const mean = z.number().min(0).max(1);
const std = z.number().positive().max(10);
const flag = z.boolean().nullish();

const preprocessorSchema = z.object({
  do_resize: flag,
  do_rescale: flag,
  do_normalize: flag,
  do_center_crop: flag,
  do_pad: flag,
  resample: z.int().nullish(),
  size: sizeSchema,
  crop_size: sizeSchema,
  image_mean: z.tuple([mean, mean, mean]).nullish(),
  image_std: z.tuple([std, std, std]).nullish(),
  rescale_factor: z.number().positive().max(1).nullish(),
});
