/** A model folder on disk becomes a checked description and a tokenizer. */
import { resolve } from "node:path";
import {
  chooseConversation,
  findConversation,
  openTokenizer,
  parsePreprocessor,
  readJson,
  readOptionalJson,
  readOptionalText,
  requireFolder,
  type Tokenizer,
} from "@llava/processing";
import { LlavaError } from "@llava/protocol";
import type { ModelDescription } from "../description/model-description.ts";
import { parseConfig } from "./hf.ts";
import { modelNameFromPath } from "./model-name.ts";
import { canonicalTensorName } from "./tensor-names.ts";

/** A folder of weights, and our names of the tensors in it: undefined for one that is left out. */
export interface WeightFolder {
  readonly folder: string;
  readonly tensorName: (stored: string) => string | undefined;
}

export interface ModelFolder {
  /** Absolute path. */
  readonly folder: string;
  /** Where the weights lie; a tensor of a later folder replaces one of the same name. */
  readonly weights: readonly WeightFolder[];
  readonly description: ModelDescription;
  readonly tokenizer: Tokenizer;
  /** The model card: README.md as it stands, or null. */
  readonly card: string | null;
}

export interface ModelOverrides {
  /** Key of a conversation template; it takes precedence over config.json and over the model's name. */
  readonly conversation?: string;
  readonly imageAspectRatio?: "pad" | "crop";
}

/**
 * Reads everything but the weights. Throws `model_not_found` without a folder, `invalid_checkpoint` for a missing or
 * damaged file, `unsupported_model` for what cannot be run here.
 */
export async function openModelFolder(path: string, overrides: ModelOverrides = {}): Promise<ModelFolder> {
  const folder = resolve(path);
  await requireFolder(folder);
  const config = parseConfig(
    await readJson(folder, "config.json", MAX_JSON_BYTES),
    await readOptionalJson(folder, "generation_config.json", MAX_JSON_BYTES),
  );
  const { conversation, imageAspectRatio, ...model } = config;
  const pixels = parsePreprocessor(await readPreprocessor(folder), model.vision.imageSize);
  const tokenizer = await openTokenizer(folder);
  requireRows(tokenizer.vocabularySize, model.text.vocabSize);
  const name = modelNameFromPath(folder);
  const template = overrides.conversation ?? conversation ?? chooseConversation(name);
  findConversation(template);
  const shape = overrides.imageAspectRatio ?? shapeOf(imageAspectRatio) ?? pixels.shape;
  return {
    folder,
    weights: [{ folder, tensorName: canonicalTensorName }],
    description: { ...model, name, pixels: { ...pixels, shape }, conversation: template },
    tokenizer,
    card: await readOptionalText(folder, "README.md", MAX_JSON_BYTES),
  };
}

const MAX_JSON_BYTES = 4 * 1024 * 1024;

/** Newer folders keep the image processor inside processor_config.json. */
async function readPreprocessor(folder: string): Promise<unknown> {
  const own = await readOptionalJson(folder, "preprocessor_config.json", MAX_JSON_BYTES);
  if (own !== null) return own;
  const whole = await readOptionalJson(folder, "processor_config.json", MAX_JSON_BYTES);
  if (typeof whole === "object" && whole !== null && "image_processor" in whole) return whole.image_processor;
  return await readJson(
    folder,
    "preprocessor_config.json",
    MAX_JSON_BYTES,
    "It says how images are prepared; copy it from where the model came from.",
  );
}

/** The values of LLaVA's image_aspect_ratio: "square" is what its code calls CLIP's own crop. */
function shapeOf(imageAspectRatio: string | null): "pad" | "crop" | null {
  switch (imageAspectRatio) {
    case null:
      return null;
    case "pad":
      return "pad";
    case "square":
    case "crop":
      return "crop";
    default:
      throw new LlavaError(
        "unsupported_model",
        `This model cannot be run: config.json has image_aspect_ratio "${imageAspectRatio}". What to do: take a LLaVA 1.5 checkpoint ("pad" or "square"), for example llava-hf/llava-1.5-7b-hf.`,
      );
  }
}

/** An id without a row in the embedding would make the runtime read past its end. */
function requireRows(vocabularySize: number, rows: number): void {
  if (vocabularySize <= rows) return;
  throw new LlavaError(
    "invalid_checkpoint",
    `tokenizer.json has ids up to ${vocabularySize - 1}, but config.json gives the model ${rows} embeddings (text_config.vocab_size). The two files belong to different models; copy both from the same place.`,
  );
}
