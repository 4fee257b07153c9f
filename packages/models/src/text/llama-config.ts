/** The text_config of families like Llama: keys that they share, and what of them cannot be computed here. */
import { z } from "zod";
import {
  contradiction,
  epsilon,
  headCount,
  innerWidth,
  layerCount,
  optional,
  orElse,
  requireDivisible,
  TAKE_LLAVA_15,
  tokenId,
  tokenIds,
  unsupported,
  width,
} from "../description/config-fields.ts";
import type { TextDescription } from "../description/model-description.ts";

/** What a family's class in transformers fills in for a missing key: files on the hub leave out what equals it. */
export interface ConfigDefaults {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Absent: as many as `heads`. */
  readonly kvHeads?: number;
  readonly contextLength: number;
  readonly vocabSize: number;
  readonly bosTokenId: number | null;
}

const rope = optional(
  z.object({
    rope_type: optional(z.string()),
    type: optional(z.string()),
    rope_theta: optional(z.number().positive().max(1e12)),
    partial_rotary_factor: optional(z.number()),
  }),
);

/** The keys that every family like Llama has, for z.object. */
export function llamaFields(defaults: ConfigDefaults) {
  const { kvHeads = null, bosTokenId } = defaults;
  return {
    hidden_size: orElse(width, defaults.hiddenSize),
    intermediate_size: orElse(innerWidth, defaults.intermediateSize),
    num_hidden_layers: orElse(layerCount, defaults.layers),
    num_attention_heads: orElse(headCount, defaults.heads),
    // Null is not like a missing key here: it stands for as many as there are heads.
    num_key_value_heads: headCount.nullable().default(kvHeads),
    head_dim: optional(z.int().min(2).max(1024)),
    hidden_act: orElse(z.string(), "silu"),
    max_position_embeddings: orElse(z.int().min(1).max(16_777_216), defaults.contextLength),
    rms_norm_eps: orElse(epsilon, 1e-6),
    rope_theta: optional(z.number().positive().max(1e12)),
    rope_scaling: rope,
    rope_parameters: rope,
    vocab_size: orElse(z.int().min(2).max(1_000_000), defaults.vocabSize),
    tie_word_embeddings: orElse(z.boolean(), false),
    bos_token_id: tokenId.nullable().default(bosTokenId),
    eos_token_id: tokenIds,
  };
}

export type LlamaConfig = z.output<z.ZodObject<ReturnType<typeof llamaFields>>>;

/** `defaultEos` ends answers where no file names an end token. */
export function describeLlama(family: string, raw: LlamaConfig, defaultEos: number): TextDescription {
  refuseVariants(raw);
  const heads = raw.num_attention_heads;
  const kvHeads = raw.num_key_value_heads ?? heads;
  requireDivisible("text_config.num_attention_heads", heads, "num_key_value_heads", kvHeads);
  const headSize = raw.head_dim ?? raw.hidden_size / heads;
  if (!Number.isInteger(headSize) || headSize % 2 !== 0) {
    throw contradiction(
      `text_config.hidden_size ${raw.hidden_size} over ${heads} attention heads gives heads of ${headSize}, which must be an even number`,
    );
  }
  return {
    family,
    hiddenSize: raw.hidden_size,
    intermediateSize: raw.intermediate_size,
    layers: raw.num_hidden_layers,
    heads,
    kvHeads,
    headSize,
    ropeTheta: raw.rope_theta ?? raw.rope_parameters?.rope_theta ?? 10_000,
    rmsNormEps: raw.rms_norm_eps,
    vocabSize: raw.vocab_size,
    tiedEmbeddings: raw.tie_word_embeddings,
    contextLength: raw.max_position_embeddings,
    bosTokenId: raw.bos_token_id,
    eosTokenIds:
      typeof raw.eos_token_id === "number" ? [raw.eos_token_id] : (raw.eos_token_id ?? [defaultEos]),
  };
}

function refuseVariants(raw: LlamaConfig): void {
  if (raw.hidden_act !== "silu")
    throw unsupported(`its language model's activation is "${raw.hidden_act}"`, TAKE_LLAVA_15);
  for (const rotation of [raw.rope_scaling, raw.rope_parameters]) {
    const kind = rotation?.rope_type ?? rotation?.type ?? "default";
    if (kind !== "default")
      throw unsupported(`it uses rope scaling ("${kind}")`, "take one without rope_scaling");
    if ((rotation?.partial_rotary_factor ?? 1) !== 1)
      throw unsupported("it rotates only a part of each head", TAKE_LLAVA_15);
  }
}
