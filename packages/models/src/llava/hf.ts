/**
 * Hugging Face's layout of a LLaVA: config.json and generation_config.json of `llava` checkpoints become one description.
 * Files on the hub leave out what equals the defaults of transformers: the gaps are filled here and by the families.
 */
import { parseModelJson } from "@llava/processing";
import { z } from "zod";
import {
  optional,
  orElse,
  TAKE_LLAVA_15,
  tokenId,
  type TokenIds,
  tokenIds,
  unsupported,
} from "../description/config-fields.ts";
import type {
  ProjectorDescription,
  TextDescription,
  VisionDescription,
} from "../description/model-description.ts";
import { textFamily, visionFamily } from "../registry/family-registry.ts";

export interface ModelConfig {
  readonly vision: VisionDescription;
  readonly projector: ProjectorDescription;
  readonly text: TextDescription;
  readonly imageTokenId: number;
  /** Our own key `conversation_template`, when the file has it. */
  readonly conversation: string | null;
  /** LLaVA's key `image_aspect_ratio`, when the file has it. */
  readonly imageAspectRatio: string | null;
}

/**
 * Throws `unsupported_model` for what is well formed but not built here, `invalid_checkpoint` for the rest.
 * `generation` is the content of generation_config.json, or null where the folder has none.
 */
export function parseConfig(config: unknown, generation: unknown): ModelConfig {
  refuseOtherModels(config);
  const raw = parseModelJson("config.json", configSchema, config);
  const settings = parseModelJson("generation_config.json", generationSchema, generation ?? {});
  if (raw.quantization_config !== undefined || raw.text_config.quantization_config !== undefined) {
    throw unsupported("its weights are stored quantized", "take the float16 or bfloat16 checkpoint");
  }
  const vision = visionFamily(raw.vision_config.model_type).parseConfig(raw.vision_config, {
    layer: raw.vision_feature_layer,
    keepsClassToken: raw.vision_feature_select_strategy === "full",
  });
  const text = textFamily(raw.text_config.model_type).parseConfig({
    ...raw.text_config,
    // Older files keep the flag with the text model, newer ones at the top; neither writes it when it is the default.
    tie_word_embeddings: raw.text_config.tie_word_embeddings === true || raw.tie_word_embeddings === true,
    eos_token_id: firstTokenIds(settings.eos_token_id, raw.text_config.eos_token_id, raw.eos_token_id),
  });
  return {
    vision,
    projector: describeProjector(raw, vision, text),
    text,
    imageTokenId: raw.image_token_index ?? raw.image_token_id ?? 32_000,
    conversation: raw.conversation_template ?? null,
    imageAspectRatio: raw.image_aspect_ratio ?? null,
  };
}

/** LlavaMultiModalProjector of transformers has one shape: two linear layers around an activation. */
function describeProjector(
  raw: RawConfig,
  vision: VisionDescription,
  text: TextDescription,
): ProjectorDescription {
  if (raw.projector_hidden_act !== "gelu")
    throw unsupported(`its projector's activation is "${raw.projector_hidden_act}"`, TAKE_LLAVA_15);
  return {
    family: "mlp2x_gelu",
    bias: raw.multimodal_projector_bias,
    inputSize: vision.hiddenSize,
    outputSize: text.hiddenSize,
  };
}

function firstTokenIds(...candidates: readonly TokenIds[]): TokenIds {
  return candidates.find((ids) => typeof ids === "number" || (ids ?? []).length > 0);
}

function refuseOtherModels(config: unknown): void {
  const kind = parseModelJson("config.json", kindSchema, config);
  if (kind.mm_vision_tower !== undefined || kind.mm_projector_type !== undefined) {
    throw unsupported(
      "it is in the original LLaVA's own layout (config.json has mm_vision_tower)",
      "take the same model in Hugging Face's layout, for example llava-hf/llava-1.5-7b-hf",
    );
  }
  if (kind.model_type === "llava") return;
  const found =
    kind.model_type === undefined
      ? "config.json names no model_type"
      : `its model_type is "${kind.model_type}"`;
  throw unsupported(
    found,
    'take a checkpoint whose model_type is "llava", for example llava-hf/llava-1.5-7b-hf',
  );
}

const kindSchema = z.object({
  model_type: optional(z.string()),
  mm_vision_tower: z.unknown().optional(),
  mm_projector_type: z.unknown().optional(),
});

/** What transformers.LlavaConfig() builds when a file has no vision_config: CLIP ViT-L/14 at 336 pixels. */
const LLAVA_TOWER = {
  hidden_size: 1024,
  intermediate_size: 4096,
  num_hidden_layers: 24,
  num_attention_heads: 16,
  image_size: 336,
  patch_size: 14,
};

/** The keys of text_config that LLaVA's own level decides about; the family reads the others. */
const textSchema = z.looseObject({
  model_type: orElse(z.string(), "llama"),
  tie_word_embeddings: optional(z.boolean()),
  eos_token_id: tokenIds,
  quantization_config: optional(z.unknown()),
});

/** Defaults: transformers.LlavaConfig(). */
const configSchema = z.object({
  vision_config: z.preprocess(
    (value) => value ?? LLAVA_TOWER,
    z.looseObject({ model_type: orElse(z.string(), "clip_vision_model") }),
  ),
  text_config: z.preprocess((value) => value ?? {}, textSchema),
  projector_hidden_act: orElse(z.string(), "gelu"),
  multimodal_projector_bias: orElse(z.boolean(), true),
  vision_feature_layer: orElse(z.union([z.int(), z.array(z.int())]), -2),
  vision_feature_select_strategy: orElse(z.enum(["default", "full"]), "default"),
  image_token_index: optional(tokenId),
  image_token_id: optional(tokenId),
  tie_word_embeddings: optional(z.boolean()),
  eos_token_id: tokenIds,
  quantization_config: optional(z.unknown()),
  conversation_template: optional(z.string()),
  image_aspect_ratio: optional(z.string()),
});
type RawConfig = z.output<typeof configSchema>;

const generationSchema = z.object({ eos_token_id: tokenIds });
