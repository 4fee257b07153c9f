import { describe, expect, test } from "vitest";
import { parseConfig } from "./hf.ts";

/** The keys of llava-hf/llava-1.5-7b-hf: its text_config leaves out nearly everything. */
const llava15 = {
  architectures: ["LlavaForConditionalGeneration"],
  ignore_index: -100,
  image_token_index: 32_000,
  model_type: "llava",
  pad_token_id: 32_001,
  projector_hidden_act: "gelu",
  text_config: {
    _name_or_path: "lmsys/vicuna-7b-v1.5",
    architectures: ["LlamaForCausalLM"],
    max_position_embeddings: 4096,
    model_type: "llama",
    rms_norm_eps: 1e-5,
    torch_dtype: "float16",
    vocab_size: 32_064,
  },
  tie_word_embeddings: false,
  torch_dtype: "float16",
  vision_config: {
    hidden_size: 1024,
    image_size: 336,
    intermediate_size: 4096,
    model_type: "clip_vision_model",
    num_attention_heads: 16,
    num_hidden_layers: 24,
    patch_size: 14,
    projection_dim: 768,
    vocab_size: 32_000,
  },
  vision_feature_layer: -2,
  vision_feature_select_strategy: "default",
  vocab_size: 32_064,
};

const withText = (text: object): object => ({ ...llava15, text_config: { ...llava15.text_config, ...text } });
const withVision = (vision: object): object => ({
  ...llava15,
  vision_config: { ...llava15.vision_config, ...vision },
});

test("LLaVA 1.5 7B: gaps are filled with Hugging Face's defaults", () => {
  expect(parseConfig(llava15, { eos_token_id: 2, pad_token_id: 32_001 })).toEqual({
    vision: {
      family: "clip_vision_model",
      hiddenSize: 1024,
      intermediateSize: 4096,
      layers: 24,
      heads: 16,
      imageSize: 336,
      patchSize: 14,
      activation: "quick_gelu",
      layerNormEps: 1e-5,
      layersToRun: 23,
      keepsClassToken: false,
      tokensPerImage: 576,
    },
    projector: { family: "mlp2x_gelu", bias: true, inputSize: 1024, outputSize: 4096 },
    text: {
      family: "llama",
      hiddenSize: 4096,
      intermediateSize: 11_008,
      layers: 32,
      heads: 32,
      kvHeads: 32,
      headSize: 128,
      ropeTheta: 10_000,
      rmsNormEps: 1e-5,
      vocabSize: 32_064,
      tiedEmbeddings: false,
      contextLength: 4096,
      bosTokenId: 1,
      eosTokenIds: [2],
    },
    imageTokenId: 32_000,
    conversation: null,
    imageAspectRatio: null,
  });
});

test("an almost empty file is the default LLaVA, null like a missing key", () => {
  const { vision, text, imageTokenId } = parseConfig(
    { model_type: "llava", vision_config: null, text_config: null },
    null,
  );
  expect(vision).toMatchObject({
    hiddenSize: 1024,
    layers: 24,
    imageSize: 336,
    patchSize: 14,
    tokensPerImage: 576,
  });
  expect(text).toMatchObject({ hiddenSize: 4096, vocabSize: 32_000, contextLength: 2048, rmsNormEps: 1e-6 });
  expect(imageTokenId).toBe(32_000);
  const clip = parseConfig({ model_type: "llava", vision_config: {} }, null).vision;
  expect(clip).toMatchObject({
    hiddenSize: 768,
    layers: 12,
    heads: 12,
    imageSize: 224,
    patchSize: 32,
    tokensPerImage: 49,
  });
});

describe("the forms of different years", () => {
  test("rope_theta and rope_parameters", () => {
    expect(parseConfig(withText({ rope_theta: 5e6, rope_scaling: null }), null).text.ropeTheta).toBe(5e6);
    const newer = withText({ rope_parameters: { rope_type: "default", rope_theta: 1e6 } });
    expect(parseConfig(newer, null).text.ropeTheta).toBe(1e6);
  });

  test("image_token_id", () => {
    const { image_token_index: _, ...rest } = llava15;
    expect(parseConfig({ ...rest, image_token_id: 7 }, null).imageTokenId).toBe(7);
  });

  test("tied embeddings at either place", () => {
    expect(parseConfig(withText({ tie_word_embeddings: true }), null).text.tiedEmbeddings).toBe(true);
    expect(parseConfig({ ...llava15, tie_word_embeddings: true }, null).text.tiedEmbeddings).toBe(true);
  });

  test("end tokens: generation_config.json, then the text model's, then Llama's", () => {
    const config = withText({ eos_token_id: [7, 9] });
    expect(parseConfig(config, { eos_token_id: [3, 4] }).text.eosTokenIds).toEqual([3, 4]);
    expect(parseConfig(config, { eos_token_id: null }).text.eosTokenIds).toEqual([7, 9]);
    expect(parseConfig(llava15, null).text.eosTokenIds).toEqual([2]);
  });

  test("grouped heads, heads of their own size, no beginning of text", () => {
    const { text } = parseConfig(
      withText({ num_key_value_heads: 8, head_dim: 64, bos_token_id: null }),
      null,
    );
    expect(text).toMatchObject({ heads: 32, kvHeads: 8, headSize: 64, bosTokenId: null });
  });

  test("the features of any layer, with or without the class token", () => {
    expect(parseConfig({ ...llava15, vision_feature_layer: -1 }, null).vision.layersToRun).toBe(24);
    expect(parseConfig({ ...llava15, vision_feature_layer: 3 }, null).vision.layersToRun).toBe(3);
    const { vision } = parseConfig({ ...llava15, vision_feature_select_strategy: "full" }, null);
    expect(vision).toMatchObject({ keepsClassToken: true, tokensPerImage: 577 });
  });
});

test("Qwen2: biases of queries, keys and values, and the defaults of its own class", () => {
  const qwen = { model_type: "qwen2", num_key_value_heads: 4, rope_theta: 1e6, tie_word_embeddings: true };
  const { text } = parseConfig({ ...llava15, text_config: qwen }, null);
  expect(text).toMatchObject({
    family: "qwen2",
    qkvBias: true,
    kvHeads: 4,
    ropeTheta: 1e6,
    tiedEmbeddings: true,
  });
  expect(text).toMatchObject({ vocabSize: 151_936, contextLength: 32_768, bosTokenId: null });
  expect(text).not.toHaveProperty("slidingWindow");
});

test("Mistral: grouped heads and the sliding window are the first release's unless the file says otherwise", () => {
  const mistral = { model_type: "mistral" };
  const { text } = parseConfig({ ...llava15, text_config: mistral }, null);
  expect(text).toMatchObject({
    family: "mistral",
    kvHeads: 8,
    intermediateSize: 14_336,
    slidingWindow: 4096,
  });
  const second = { ...mistral, sliding_window: null, num_key_value_heads: null, head_dim: 64 };
  const newer = parseConfig({ ...llava15, text_config: second }, null).text;
  expect(newer).toMatchObject({ kvHeads: 32, headSize: 64 });
  expect(newer).not.toHaveProperty("slidingWindow");
});

describe("what cannot be run is refused by name", () => {
  test.each([
    ["llava_next", { ...llava15, model_type: "llava_next" }, /"llava_next"/],
    ["llava_onevision", { model_type: "llava_onevision" }, /"llava_onevision"/],
    ["a plain Llama", { model_type: "llama" }, /"llama"/],
    ["no model_type", {}, /names no model_type/],
    [
      "the original's layout",
      { model_type: "llava", mm_vision_tower: "openai/clip" },
      /original LLaVA's own layout/,
    ],
    ["a SigLIP tower", withVision({ model_type: "siglip_vision_model" }), /"siglip_vision_model"/],
    ["another tower activation", withVision({ hidden_act: "gelu_pytorch_tanh" }), /"gelu_pytorch_tanh"/],
    ["a grey tower", withVision({ num_channels: 1 }), /1 colour channels/],
    ["another projector", { ...llava15, projector_hidden_act: "silu" }, /projector's activation is "silu"/],
    ["several feature layers", { ...llava15, vision_feature_layer: [-2, -5] }, /several vision layers/],
    ["Gemma", withText({ model_type: "gemma" }), /"gemma"/],
    [
      "Qwen2 with a sliding window",
      withText({ model_type: "qwen2", use_sliding_window: true }),
      /use_sliding_window/,
    ],
    ["another activation", withText({ hidden_act: "gelu" }), /"gelu"/],
    ["rope scaling", withText({ rope_scaling: { type: "linear", factor: 2 } }), /rope scaling \("linear"\)/],
    ["newer rope scaling", withText({ rope_parameters: { rope_type: "yarn" } }), /rope scaling \("yarn"\)/],
    [
      "a partial rotation",
      withText({ rope_parameters: { partial_rotary_factor: 0.5 } }),
      /rotates only a part/,
    ],
    ["attention biases", withText({ attention_bias: true }), /attention_bias/],
    ["feed-forward biases", withText({ mlp_bias: true }), /mlp_bias/],
    ["quantized weights", { ...llava15, quantization_config: { load_in_4bit: true } }, /stored quantized/],
  ])("%s", (_, config, expected) => {
    expect(() => parseConfig(config, null)).toThrow(expect.objectContaining({ code: "unsupported_model" }));
    expect(() => parseConfig(config, null)).toThrow(expected);
    expect(() => parseConfig(config, null)).toThrow(/What to do: /);
  });
});

describe("a config that cannot be right is refused with key and value", () => {
  test.each([
    ["a huge width", withText({ hidden_size: 1e9 }), /config\.json: text_config\.hidden_size is 1000000000/],
    ["a width of NaN", withText({ hidden_size: Number.NaN }), /text_config\.hidden_size/],
    [
      "infinite layers",
      withText(JSON.parse('{"num_hidden_layers":1e999}') as object),
      /text_config\.num_hidden_layers/,
    ],
    ["half a layer", withVision({ num_hidden_layers: 2.5 }), /vision_config\.num_hidden_layers is 2\.5/],
    ["no layers", withText({ num_hidden_layers: 0 }), /num_hidden_layers is 0/],
    ["257 layers", withText({ num_hidden_layers: 257 }), /num_hidden_layers is 257/],
    ["a text for a number", withText({ vocab_size: "32000" }), /vocab_size is "32000"/],
    ["a huge vocabulary", withText({ vocab_size: 1_000_001 }), /vocab_size is 1000001/],
    ["a huge image", withVision({ image_size: 13_440 }), /image_size is 13440/],
    ["a tiny patch", withVision({ patch_size: 1 }), /patch_size is 1,/],
    [
      "patches that do not fit",
      withVision({ patch_size: 16, image_size: 330 }),
      /image_size 330 cannot be divided by patch_size 16/,
    ],
    ["heads that do not fit", withText({ hidden_size: 4100 }), /heads of 128\.125/],
    [
      "tower heads that do not fit",
      withVision({ num_attention_heads: 7 }),
      /cannot be divided by num_attention_heads 7/,
    ],
    [
      "groups that do not fit",
      withText({ num_key_value_heads: 5 }),
      /cannot be divided by num_key_value_heads 5/,
    ],
    ["a negative eps", withText({ rms_norm_eps: -1 }), /rms_norm_eps is -1/],
    [
      "a layer that is not there",
      { ...llava15, vision_feature_layer: -26 },
      /vision_feature_layer is -26, .* 24 layers/,
    ],
    ["no object", 7, /the whole file is 7/],
    ["null", null, /the whole file is null/],
    ["a list", [], /the whole file is \[\]/],
  ])("%s", (_, config, expected) => {
    expect(() => parseConfig(config, null)).toThrow(expect.objectContaining({ code: "invalid_checkpoint" }));
    expect(() => parseConfig(config, null)).toThrow(expected);
  });

  test("also in generation_config.json", () => {
    expect(() => parseConfig(llava15, { eos_token_id: "two" })).toThrow(
      /generation_config\.json: eos_token_id is "two"/,
    );
  });
});
