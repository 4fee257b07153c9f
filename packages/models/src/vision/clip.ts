/** CLIP's vision transformer and LLaVA's projector: pixels → rows of the language model's embedding space. */
import type { ModelDescription } from "../llava/model-description.ts";
import type { Tensor } from "@llava/onnx";
import type { Operations } from "../operations/operations.ts";

type Vision = ModelDescription["vision"];

const TOWER = "vision_tower.vision_model";
/** QuickGELU's slope, of OpenAI's CLIP. */
const QUICK_GELU_ALPHA = 1.702;

/**
 * pixels [batch, 3, imageSize, imageSize] → hidden states after `layersToRun` blocks, [batch, tokens, hidden], without
 * the class token unless the model keeps it. There is no final LayerNorm: LLaVA takes the features as they leave the block.
 */
export function visionTower(ops: Operations, vision: Vision, pixels: Tensor): Tensor {
  let x = ops.layerNorm(embeddings(ops, vision, pixels), `${TOWER}.pre_layrnorm`, vision.layerNormEps);
  for (let layer = 0; layer < vision.layersToRun; layer++) {
    x = block(ops, vision, x, `${TOWER}.encoder.layers.${layer}`);
  }
  return vision.keepsClassToken ? x : ops.dropRows(x, 1);
}

/** Class token in front of the patches, plus a learned vector for each position. */
function embeddings(ops: Operations, vision: Vision, pixels: Tensor): Tensor {
  const { hiddenSize: hidden, imageSize: size, patchSize: patch } = vision;
  const positions = (size / patch) ** 2 + 1;
  const patches = ops.patches(pixels, `${TOWER}.embeddings.patch_embedding.weight`, { size, patch, hidden });
  const position = ops.weight(`${TOWER}.embeddings.position_embedding.weight`, [positions, hidden]);
  const classToken = ops.weight(`${TOWER}.embeddings.class_embedding`, [hidden]);
  return ops.add(ops.prependZeroRow(patches), ops.withFirstRow(position, classToken));
}

function block(ops: Operations, vision: Vision, x: Tensor, name: string): Tensor {
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

/** mlp2x_gelu: features [batch, tokens, vision hidden] → [batch, tokens, language hidden]. */
export function projector(
  ops: Operations,
  { outputSize, bias }: ModelDescription["projector"],
  features: Tensor,
): Tensor {
  const hidden = ops.gelu(ops.linear(features, "multi_modal_projector.linear_1", outputSize, { bias }));
  return ops.linear(hidden, "multi_modal_projector.linear_2", outputSize, { bias });
}
