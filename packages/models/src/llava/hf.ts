/**
 * config.json and generation_config.json of Hugging Face `llava` checkpoints. Apart from the description because a
 * hub file leaves out whatever equals Hugging Face's defaults: here the gaps are filled and the rest refused by name.
 */
import { LlavaError } from "@llava/protocol";
import { z } from "zod";
import type { ProjectorDescription, TextDescription, VisionDescription } from "./model-description.ts";
import { parseModelJson } from "@llava/processing";

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
  const vision = describeVision(raw);
  const text = describeText(raw, settings.eos_token_id);
  return {
    vision,
    projector: describeProjector(raw, vision, text),
    text,
    imageTokenId: raw.image_token_index ?? raw.image_token_id ?? 32_000,
    conversation: raw.conversation_template ?? null,
    imageAspectRatio: raw.image_aspect_ratio ?? null,
  };
}

function describeVision(raw: RawConfig): VisionDescription {
  const tower = raw.vision_config;
  if (tower.model_type !== "clip_vision_model") {
    throw unsupported(
      `its vision tower is "${tower.model_type}"`,
      'take a model with a CLIP tower ("clip_vision_model")',
    );
  }
  if (tower.num_channels !== 3)
    throw unsupported(`its tower takes ${tower.num_channels} colour channels`, TAKE_15);
  if (tower.hidden_act !== "quick_gelu" && tower.hidden_act !== "gelu") {
    throw unsupported(`its tower's activation is "${tower.hidden_act}"`, TAKE_15);
  }
  requireDivisible(
    "vision_config.hidden_size",
    tower.hidden_size,
    "num_attention_heads",
    tower.num_attention_heads,
  );
  requireDivisible("vision_config.image_size", tower.image_size, "patch_size", tower.patch_size);
  const keepsClassToken = raw.vision_feature_select_strategy === "full";
  return {
    hiddenSize: tower.hidden_size,
    intermediateSize: tower.intermediate_size,
    layers: tower.num_hidden_layers,
    heads: tower.num_attention_heads,
    imageSize: tower.image_size,
    patchSize: tower.patch_size,
    activation: tower.hidden_act,
    layerNormEps: tower.layer_norm_eps,
    layersToRun: countLayersToRun(raw.vision_feature_layer, tower.num_hidden_layers),
    keepsClassToken,
    tokensPerImage: (tower.image_size / tower.patch_size) ** 2 + (keepsClassToken ? 1 : 0),
  };
}

/** Hidden states are numbered 0 (embeddings) to `layers`; a negative index counts from the end. */
function countLayersToRun(featureLayer: number | readonly number[], layers: number): number {
  if (typeof featureLayer !== "number") {
    throw unsupported(
      "it joins the features of several vision layers",
      "take one whose vision_feature_layer is a number",
    );
  }
  const count = featureLayer < 0 ? layers + 1 + featureLayer : featureLayer;
  if (count >= 1 && count <= layers) return count;
  throw new LlavaError(
    "invalid_checkpoint",
    `config.json: vision_feature_layer is ${featureLayer}, but the vision tower has ${layers} layers. Copy the file again from where the model came from.`,
  );
}

function describeProjector(
  raw: RawConfig,
  vision: VisionDescription,
  text: TextDescription,
): ProjectorDescription {
  if (raw.projector_hidden_act !== "gelu") {
    throw unsupported(`its projector's activation is "${raw.projector_hidden_act}"`, TAKE_15);
  }
  return {
    activation: "gelu",
    bias: raw.multimodal_projector_bias,
    inputSize: vision.hiddenSize,
    outputSize: text.hiddenSize,
  };
}

function describeText(raw: RawConfig, generationEos: TokenIds): TextDescription {
  const model = raw.text_config;
  refuseTextVariants(model);
  const kvHeads = model.num_key_value_heads ?? model.num_attention_heads;
  requireDivisible(
    "text_config.num_attention_heads",
    model.num_attention_heads,
    "num_key_value_heads",
    kvHeads,
  );
  const headSize = model.head_dim ?? model.hidden_size / model.num_attention_heads;
  if (!Number.isInteger(headSize) || headSize % 2 !== 0) {
    throw new LlavaError(
      "invalid_checkpoint",
      `config.json: text_config.hidden_size ${model.hidden_size} over ${model.num_attention_heads} attention heads gives heads of ${headSize}, which must be an even number. Copy the file again from where the model came from.`,
    );
  }
  return {
    hiddenSize: model.hidden_size,
    intermediateSize: model.intermediate_size,
    layers: model.num_hidden_layers,
    heads: model.num_attention_heads,
    kvHeads,
    headSize,
    ropeTheta: model.rope_theta ?? model.rope_parameters?.rope_theta ?? 10_000,
    rmsNormEps: model.rms_norm_eps,
    vocabSize: model.vocab_size,
    // Older files keep the flag with the text model, newer ones at the top; neither writes it when it is the default.
    tiedEmbeddings: model.tie_word_embeddings === true || raw.tie_word_embeddings === true,
    contextLength: model.max_position_embeddings,
    bosTokenId: model.bos_token_id === undefined ? 1 : model.bos_token_id,
    eosTokenIds: firstTokenIds(generationEos, model.eos_token_id, raw.eos_token_id),
  };
}

function refuseTextVariants(model: RawConfig["text_config"]): void {
  if (model.model_type !== "llama") {
    throw unsupported(
      `its language model is "${model.model_type}"`,
      'take one whose language model is "llama"',
    );
  }
  if (model.hidden_act !== "silu")
    throw unsupported(`its language model's activation is "${model.hidden_act}"`, TAKE_15);
  if (model.attention_bias) throw unsupported("its attention has biases (attention_bias)", TAKE_15);
  if (model.mlp_bias) throw unsupported("its feed-forward layers have biases (mlp_bias)", TAKE_15);
  for (const rope of [model.rope_scaling, model.rope_parameters]) {
    const kind = rope?.rope_type ?? rope?.type ?? "default";
    if (kind !== "default")
      throw unsupported(`it uses rope scaling ("${kind}")`, "take one without rope_scaling");
    if ((rope?.partial_rotary_factor ?? 1) !== 1)
      throw unsupported("it rotates only a part of each head", TAKE_15);
  }
}

/** 2 is Hugging Face's default for Llama. */
function firstTokenIds(...candidates: readonly TokenIds[]): readonly number[] {
  for (const candidate of candidates) {
    const ids = typeof candidate === "number" ? [candidate] : (candidate ?? []);
    if (ids.length > 0) return ids;
  }
  return [2];
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

const TAKE_15 = "take a LLaVA 1.5 checkpoint, for example llava-hf/llava-1.5-7b-hf";

function unsupported(what: string, instead: string): LlavaError {
  return new LlavaError("unsupported_model", `This model cannot be run: ${what}. What to do: ${instead}.`);
}

function requireDivisible(key: string, value: number, divisorKey: string, divisor: number): void {
  if (value % divisor === 0) return;
  throw new LlavaError(
    "invalid_checkpoint",
    `config.json: ${key} ${value} cannot be divided by ${divisorKey} ${divisor}. Copy the file again from where the model came from.`,
  );
}

/** A missing key and null mean the same in these files. */
function orElse<T extends z.ZodType>(schema: T, fallback: z.output<T>) {
  return schema.nullish().transform((value): z.output<T> => value ?? fallback);
}

function optional<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform((value): z.output<T> | undefined => value ?? undefined);
}

// The upper bounds keep a made-up file from making us allocate; they are far above every published model.
const width = z.int().min(8).max(16_384);
const innerWidth = z.int().min(8).max(131_072);
const layerCount = z.int().min(1).max(256);
const headCount = z.int().min(1).max(1024);
const epsilon = z.number().positive().max(0.1);
const tokenId = z.int().min(0).max(1_000_000);
const tokenIds = z.union([tokenId, z.array(tokenId).max(64)]).nullish();
type TokenIds = z.output<typeof tokenIds>;

const kindSchema = z.object({
  model_type: optional(z.string()),
  mm_vision_tower: z.unknown().optional(),
  mm_projector_type: z.unknown().optional(),
});

const ropeSchema = optional(
  z.object({
    rope_type: optional(z.string()),
    type: optional(z.string()),
    rope_theta: optional(z.number().positive().max(1e12)),
    partial_rotary_factor: optional(z.number()),
  }),
);

/** Defaults: transformers.CLIPVisionConfig(). */
const visionSchema = z.object({
  model_type: orElse(z.string(), "clip_vision_model"),
  hidden_size: orElse(width, 768),
  intermediate_size: orElse(innerWidth, 3072),
  num_hidden_layers: orElse(layerCount, 12),
  num_attention_heads: orElse(headCount, 12),
  num_channels: orElse(z.int(), 3),
  image_size: orElse(z.int().min(4).max(1344), 224),
  patch_size: orElse(z.int().min(4).max(64), 32),
  hidden_act: orElse(z.string(), "quick_gelu"),
  layer_norm_eps: orElse(epsilon, 1e-5),
});

/** Defaults: transformers.LlamaConfig(). */
const textSchema = z.object({
  model_type: orElse(z.string(), "llama"),
  hidden_size: orElse(width, 4096),
  intermediate_size: orElse(innerWidth, 11_008),
  num_hidden_layers: orElse(layerCount, 32),
  num_attention_heads: orElse(headCount, 32),
  num_key_value_heads: optional(headCount),
  head_dim: optional(z.int().min(2).max(1024)),
  hidden_act: orElse(z.string(), "silu"),
  max_position_embeddings: orElse(z.int().min(1).max(16_777_216), 2048),
  rms_norm_eps: orElse(epsilon, 1e-6),
  rope_theta: optional(z.number().positive().max(1e12)),
  rope_scaling: ropeSchema,
  rope_parameters: ropeSchema,
  attention_bias: orElse(z.boolean(), false),
  mlp_bias: orElse(z.boolean(), false),
  vocab_size: orElse(z.int().min(2).max(1_000_000), 32_000),
  tie_word_embeddings: optional(z.boolean()),
  bos_token_id: tokenId.nullable().optional(),
  eos_token_id: tokenIds,
  quantization_config: optional(z.unknown()),
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

/** Defaults: transformers.LlavaConfig(). */
const configSchema = z.object({
  vision_config: z.preprocess((value) => value ?? LLAVA_TOWER, visionSchema),
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
