/** The vision family "clip_vision_model" is CLIP's vision transformer. */
import { z } from "zod";
import {
  contradiction,
  epsilon,
  headCount,
  innerWidth,
  layerCount,
  orElse,
  parseSection,
  requireDivisible,
  TAKE_LLAVA_15,
  unsupported,
  width,
} from "../description/config-fields.ts";
import type { VisionDescription } from "../description/model-description.ts";
import type { Tensor } from "@llava/onnx";
import type { Operations } from "../operations/operations.ts";
import type { FeatureChoice, VisionFamily } from "./vision-family.ts";

const TOWER = "vision_tower.vision_model";
/** The slope of QuickGELU in OpenAI's CLIP (clip/model.py). */
const QUICK_GELU_ALPHA = 1.702;

/** Defaults: transformers.CLIPVisionConfig(). */
const schema = z.object({
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

export const clip: VisionFamily = {
  parseConfig: describe,
  buildGraph: visionTransformer,
  tensorName: (stored) => (stored.startsWith("vision_model.") ? `vision_tower.${stored}` : undefined),
};

function describe(config: unknown, { layer, keepsClassToken }: FeatureChoice): VisionDescription {
  const raw = parseSection("vision_config", schema, config);
  if (raw.num_channels !== 3)
    throw unsupported(`its tower takes ${raw.num_channels} colour channels`, TAKE_LLAVA_15);
  if (raw.hidden_act !== "quick_gelu" && raw.hidden_act !== "gelu")
    throw unsupported(`its tower's activation is "${raw.hidden_act}"`, TAKE_LLAVA_15);
  const { hidden_size: hiddenSize, num_attention_heads: heads, image_size: size, patch_size: patch } = raw;
  requireDivisible("vision_config.hidden_size", hiddenSize, "num_attention_heads", heads);
  requireDivisible("vision_config.image_size", size, "patch_size", patch);
  return {
    family: "clip_vision_model",
    hiddenSize,
    intermediateSize: raw.intermediate_size,
    layers: raw.num_hidden_layers,
    heads,
    imageSize: size,
    patchSize: patch,
    activation: raw.hidden_act,
    layerNormEps: raw.layer_norm_eps,
    layersToRun: countLayersToRun(layer, raw.num_hidden_layers),
    keepsClassToken,
    tokensPerImage: (size / patch) ** 2 + (keepsClassToken ? 1 : 0),
  };
}

function countLayersToRun(featureLayer: FeatureChoice["layer"], layers: number): number {
  if (typeof featureLayer !== "number") {
    throw unsupported(
      "it joins the features of several vision layers",
      "take one whose vision_feature_layer is a number",
    );
  }
  const count = featureLayer < 0 ? layers + 1 + featureLayer : featureLayer;
  if (count >= 1 && count <= layers) return count;
  throw contradiction(`vision_feature_layer is ${featureLayer}, but the vision tower has ${layers} layers`);
}

/**
 * pixels [batch, 3, imageSize, imageSize] → hidden states after `layersToRun` blocks, [batch, tokens, hidden], without
 * the class token unless the model keeps it. There is no final LayerNorm: LLaVA takes the features as they leave the block.
 */
function visionTransformer(ops: Operations, vision: VisionDescription, pixels: Tensor): Tensor {
  let x = ops.layerNorm(embeddings(ops, vision, pixels), `${TOWER}.pre_layrnorm`, vision.layerNormEps);
  for (let layer = 0; layer < vision.layersToRun; layer++) {
    x = block(ops, vision, x, `${TOWER}.encoder.layers.${layer}`);
  }
  return vision.keepsClassToken ? x : ops.dropRows(x, 1);
}

/** Class token in front of the patches, plus a learned vector for each position. */
function embeddings(ops: Operations, vision: VisionDescription, pixels: Tensor): Tensor {
  const { hiddenSize: hidden, imageSize: size, patchSize: patch } = vision;
  const positions = (size / patch) ** 2 + 1;
  const patches = ops.patches(pixels, `${TOWER}.embeddings.patch_embedding.weight`, { size, patch, hidden });
  const position = ops.weight(`${TOWER}.embeddings.position_embedding.weight`, [positions, hidden]);
  const classToken = ops.weight(`${TOWER}.embeddings.class_embedding`, [hidden]);
  return ops.add(ops.prependZeroRow(patches), ops.withFirstRow(position, classToken));
}

function block(ops: Operations, vision: VisionDescription, x: Tensor, name: string): Tensor {
  const { hiddenSize, heads, layerNormEps } = vision;
  const project = (input: Tensor, part: string, size: number): Tensor =>
    ops.linear(input, `${name}.${part}`, size, { bias: true });
  const normed = ops.layerNorm(x, `${name}.layer_norm1`, layerNormEps);
  const q = project(normed, "self_attn.q_proj", hiddenSize);
  const k = project(normed, "self_attn.k_proj", hiddenSize);
  const v = project(normed, "self_attn.v_proj", hiddenSize);
  const attended = ops.add(x, project(ops.attention(q, k, v, heads), "self_attn.out_proj", hiddenSize));
  const wide = project(
    ops.layerNorm(attended, `${name}.layer_norm2`, layerNormEps),
    "mlp.fc1",
    vision.intermediateSize,
  );
  const active = vision.activation === "quick_gelu" ? ops.swish(wide, QUICK_GELU_ALPHA) : ops.gelu(wide);
  return ops.add(attended, project(active, "mlp.fc2", hiddenSize));
}
