/** Describes the demo model: a LLaVA that is small enough to train on a laptop and to ship with the project. */
import type { ModelDescription } from "@llava/models";

/** Mean and deviation of OpenAI's CLIP, as in every LLaVA 1.x preprocessor_config.json. */
export const PIXEL_MEAN = [0.48145466, 0.4578275, 0.40821073] as const;
export const PIXEL_STD = [0.26862954, 0.26130258, 0.27577711] as const;

/**
 * Hugging Face's config.json of the demo. 96-pixel images in 12-pixel patches are 64 image tokens; the tower's
 * last block is used (−1), because with four blocks the usual −2 would waste a quarter of it.
 */
export const DEMO_CONFIG = {
  architectures: ["LlavaForConditionalGeneration"],
  model_type: "llava",
  conversation_template: "llava_demo",
  image_seq_length: 64,
  image_token_index: 3,
  projector_hidden_act: "gelu",
  vision_feature_layer: -1,
  vision_feature_select_strategy: "default",
  tie_word_embeddings: true,
  torch_dtype: "float16",
  vision_config: {
    model_type: "clip_vision_model",
    hidden_size: 192,
    intermediate_size: 768,
    num_hidden_layers: 4,
    num_attention_heads: 6,
    num_channels: 3,
    image_size: 96,
    patch_size: 12,
    projection_dim: 192,
    hidden_act: "quick_gelu",
    layer_norm_eps: 1e-5,
  },
  text_config: {
    model_type: "llama",
    hidden_size: 192,
    intermediate_size: 512,
    num_hidden_layers: 4,
    num_attention_heads: 6,
    num_key_value_heads: 6,
    vocab_size: 1024,
    max_position_embeddings: 512,
    rope_theta: 10000,
    rms_norm_eps: 1e-5,
    hidden_act: "silu",
    tie_word_embeddings: true,
    bos_token_id: 0,
    eos_token_id: 1,
    pad_token_id: 2,
  },
} as const;

const { vision_config: vision, text_config: text } = DEMO_CONFIG;

/** The same model as the description that graphs are built from. */
export const DEMO_MODEL: Pick<ModelDescription, "vision" | "projector" | "text"> = {
  vision: {
    family: vision.model_type,
    hiddenSize: vision.hidden_size,
    intermediateSize: vision.intermediate_size,
    layers: vision.num_hidden_layers,
    heads: vision.num_attention_heads,
    imageSize: vision.image_size,
    patchSize: vision.patch_size,
    activation: vision.hidden_act,
    layerNormEps: vision.layer_norm_eps,
    layersToRun: vision.num_hidden_layers,
    keepsClassToken: false,
    tokensPerImage: (vision.image_size / vision.patch_size) ** 2,
  },
  projector: {
    family: "mlp2x_gelu",
    bias: true,
    inputSize: vision.hidden_size,
    outputSize: text.hidden_size,
  },
  text: {
    family: text.model_type,
    hiddenSize: text.hidden_size,
    intermediateSize: text.intermediate_size,
    layers: text.num_hidden_layers,
    heads: text.num_attention_heads,
    kvHeads: text.num_key_value_heads,
    headSize: text.hidden_size / text.num_attention_heads,
    ropeTheta: text.rope_theta,
    rmsNormEps: text.rms_norm_eps,
    vocabSize: text.vocab_size,
    tiedEmbeddings: true,
    contextLength: text.max_position_embeddings,
    bosTokenId: text.bos_token_id,
    eosTokenIds: [text.eos_token_id],
  },
};
