import { expect, test } from "vitest";
import { canonicalTensorName } from "./tensor-names.ts";

test.each([
  // Up to 4.51, and what later versions still write: unchanged.
  [
    "language_model.model.layers.0.self_attn.q_proj.weight",
    "language_model.model.layers.0.self_attn.q_proj.weight",
  ],
  ["language_model.lm_head.weight", "language_model.lm_head.weight"],
  ["vision_tower.vision_model.pre_layrnorm.bias", "vision_tower.vision_model.pre_layrnorm.bias"],
  ["multi_modal_projector.linear_1.weight", "multi_modal_projector.linear_1.weight"],
  // In memory from 4.52 on.
  ["model.language_model.embed_tokens.weight", "language_model.model.embed_tokens.weight"],
  [
    "model.language_model.layers.1.mlp.gate_proj.weight",
    "language_model.model.layers.1.mlp.gate_proj.weight",
  ],
  ["model.language_model.norm.weight", "language_model.model.norm.weight"],
  ["lm_head.weight", "language_model.lm_head.weight"],
  ["model.vision_tower.vision_model.pre_layrnorm.bias", "vision_tower.vision_model.pre_layrnorm.bias"],
  ["model.multi_modal_projector.linear_2.bias", "multi_modal_projector.linear_2.bias"],
  ["model.image_newline", "image_newline"],
  // Files and memory of 5.x.
  [
    "vision_tower.encoder.layers.0.mlp.fc1.weight",
    "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight",
  ],
  ["model.vision_tower.embeddings.class_embedding", "vision_tower.vision_model.embeddings.class_embedding"],
  // Neither.
  ["mean:language_model.model.norm.weight", "mean:language_model.model.norm.weight"],
  ["logits", "logits"],
])("%s is %s", (stored, canonical) => {
  expect(canonicalTensorName(stored)).toBe(canonical);
  expect(canonicalTensorName(canonical)).toBe(canonical);
});
