import { describe, expect, it, test } from "vitest";
import { projectorFamily, textFamily, visionFamily } from "./family-registry.ts";

describe("an unknown family is refused with the names that there are", () => {
  it.each([
    ["language model", () => textFamily("gemma"), '"gemma"', '"llama"'],
    [
      "vision tower",
      () => visionFamily("siglip_vision_model"),
      '"siglip_vision_model"',
      '"clip_vision_model"',
    ],
    ["projector", () => projectorFamily("ldpnetv2"), '"ldpnetv2"', '"linear", "mlp2x_gelu"'],
  ])("%s", (part, find, name, known) => {
    expect(find).toThrow(expect.objectContaining({ code: "unsupported_model" }));
    expect(find).toThrow(`its ${part} is ${name}. What to do: take a model whose ${part} is one of `);
    expect(find).toThrow(known);
  });

  it("a property of every object is no family", () => {
    expect(() => textFamily("constructor")).toThrow('"constructor"');
  });
});

describe("tensor names of a part's own checkpoint", () => {
  test.each([
    [
      textFamily("llama"),
      "model.layers.0.mlp.up_proj.weight",
      "language_model.model.layers.0.mlp.up_proj.weight",
    ],
    [textFamily("llama"), "lm_head.weight", "language_model.lm_head.weight"],
    [textFamily("llama"), "score.weight", undefined],
    [
      visionFamily("clip_vision_model"),
      "vision_model.pre_layrnorm.bias",
      "vision_tower.vision_model.pre_layrnorm.bias",
    ],
    [visionFamily("clip_vision_model"), "text_model.final_layer_norm.bias", undefined],
    [projectorFamily("mlp2x_gelu"), "model.mm_projector.0.weight", "multi_modal_projector.linear_1.weight"],
    [projectorFamily("mlp2x_gelu"), "mm_projector.2.bias", "multi_modal_projector.linear_2.bias"],
    [projectorFamily("mlp2x_gelu"), "model.mm_projector.4.bias", undefined],
    [projectorFamily("mlp2x_gelu"), "model.embed_tokens.weight", undefined],
    [projectorFamily("linear"), "model.mm_projector.weight", "multi_modal_projector.weight"],
  ])("$1 → $2", (family, stored, name) => {
    expect(family.tensorName(stored)).toBe(name);
  });
});
