/** Shapes of known models, for files of random weights: speed and memory depend on nothing else. */

export interface TextShape {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly context: number;
  /** Rows of embedding and head. */
  readonly vocabulary: number;
}

export interface VisionShape {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  /** Edges in pixels. */
  readonly image: number;
  readonly patch: number;
}

export interface Shape {
  readonly text: TextShape;
  readonly vision: VisionShape;
}

/** openai/clip-vit-large-patch14-336: 576 tokens an image. */
const CLIP_L: VisionShape = {
  hidden: 1024,
  intermediate: 4096,
  layers: 24,
  heads: 16,
  image: 336,
  patch: 14,
};

/** LLaVA 1.5's: Llama's 32,000, <image>, <pad>, filled up to a multiple of 64. */
const VOCABULARY = 32_064;

export const SHAPES: Readonly<Record<string, Shape>> = {
  /** TinyLlama/TinyLlama-1.1B-Chat-v1.0, with LLaVA's context. */
  "tinyllama-1.1b-clip-l": {
    text: {
      hidden: 2048,
      intermediate: 5632,
      layers: 22,
      heads: 32,
      kvHeads: 4,
      context: 4096,
      vocabulary: VOCABULARY,
    },
    vision: CLIP_L,
  },
  /** llava-hf/llava-1.5-7b-hf. */
  "llava-1.5-7b": {
    text: {
      hidden: 4096,
      intermediate: 11_008,
      layers: 32,
      heads: 32,
      kvHeads: 32,
      context: 4096,
      vocabulary: VOCABULARY,
    },
    vision: CLIP_L,
  },
  /** No real model's shape: written and run in seconds, for trying the bench itself. */
  tiny: {
    text: {
      hidden: 256,
      intermediate: 512,
      layers: 4,
      heads: 8,
      kvHeads: 4,
      context: 2048,
      vocabulary: VOCABULARY,
    },
    vision: { hidden: 64, intermediate: 128, layers: 3, heads: 4, image: 56, patch: 14 },
  },
};

/** Ids below it are the tokenizer's; see synthetic-tokenizer.ts. */
export const TOKENS = 32_000;
export const IMAGE_TOKEN = 32_000;
export const PAD_TOKEN = 32_001;

/** A tensor to be filled with random values. */
export interface TensorPlan {
  /** As in llava-hf's files. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly mean: number;
  readonly deviation: number;
}

/** All tensors of a `llava` checkpoint. */
export function tensorPlans(shape: Shape): TensorPlan[] {
  return [...visionPlans(shape.vision), ...projectorPlans(shape), ...textPlans(shape.text)];
}

function visionPlans({ hidden, intermediate, layers, image, patch }: VisionShape): TensorPlan[] {
  const prefix = "vision_tower.vision_model.";
  const patches = (image / patch) ** 2;
  const plans = [
    plan(`${prefix}embeddings.class_embedding`, [hidden], 0.5),
    linear(`${prefix}embeddings.patch_embedding.weight`, [hidden, 3, patch, patch]),
    plan(`${prefix}embeddings.position_embedding.weight`, [patches + 1, hidden], 0.5),
    ...layerNorm(`${prefix}pre_layrnorm`, hidden),
  ];
  for (let layer = 0; layer < layers; layer++) {
    const at = `${prefix}encoder.layers.${layer}.`;
    plans.push(...layerNorm(`${at}layer_norm1`, hidden), ...layerNorm(`${at}layer_norm2`, hidden));
    for (const name of ["q_proj", "k_proj", "v_proj", "out_proj"])
      plans.push(...biased(`${at}self_attn.${name}`, [hidden, hidden]));
    plans.push(...biased(`${at}mlp.fc1`, [intermediate, hidden]));
    plans.push(...biased(`${at}mlp.fc2`, [hidden, intermediate]));
  }
  return [...plans, ...layerNorm(`${prefix}post_layernorm`, hidden)];
}

function projectorPlans({ vision, text }: Shape): TensorPlan[] {
  return [
    ...biased("multi_modal_projector.linear_1", [text.hidden, vision.hidden]),
    ...biased("multi_modal_projector.linear_2", [text.hidden, text.hidden]),
  ];
}

function textPlans({ hidden, intermediate, layers, heads, kvHeads, vocabulary }: TextShape): TensorPlan[] {
  const keys = (hidden / heads) * kvHeads;
  const plans = [plan("language_model.model.embed_tokens.weight", [vocabulary, hidden], 0.6)];
  for (let layer = 0; layer < layers; layer++) {
    const at = `language_model.model.layers.${layer}.`;
    plans.push(
      norm(`${at}input_layernorm`, hidden),
      linear(`${at}self_attn.q_proj.weight`, [hidden, hidden]),
      linear(`${at}self_attn.k_proj.weight`, [keys, hidden]),
      linear(`${at}self_attn.v_proj.weight`, [keys, hidden]),
      linear(`${at}self_attn.o_proj.weight`, [hidden, hidden]),
      norm(`${at}post_attention_layernorm`, hidden),
      linear(`${at}mlp.gate_proj.weight`, [intermediate, hidden]),
      linear(`${at}mlp.up_proj.weight`, [intermediate, hidden]),
      linear(`${at}mlp.down_proj.weight`, [hidden, intermediate]),
    );
  }
  // Logits of deviation 2: answers at temperature 1 neither repeat themselves nor are they uniform noise.
  const head = plan("language_model.lm_head.weight", [vocabulary, hidden], 2 / Math.sqrt(hidden));
  return [...plans, norm("language_model.model.norm", hidden), head];
}

function plan(name: string, shape: readonly number[], deviation: number, mean = 0): TensorPlan {
  return { name, shape, mean, deviation };
}

/** Keeps the size of what it is given. */
function linear(name: string, shape: readonly number[]): TensorPlan {
  const inputs = shape.slice(1).reduce((a, b) => a * b, 1);
  return plan(name, shape, 1 / Math.sqrt(inputs));
}

function biased(name: string, shape: readonly [number, number]): TensorPlan[] {
  return [linear(`${name}.weight`, shape), plan(`${name}.bias`, [shape[0]], 0.02)];
}

function norm(name: string, size: number): TensorPlan {
  return plan(`${name}.weight`, [size], 0.1, 1);
}

function layerNorm(name: string, size: number): TensorPlan[] {
  return [norm(name, size), plan(`${name}.bias`, [size], 0.02)];
}
