import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { describe, expect, test } from "vitest";
import { Checkpoint } from "@llava/checkpoint";
import { canonicalTensorName, openModelFolder } from "../src/index.ts";

/** Written by Hugging Face's own library; see scripts/reference/golden.py. */
const GOLDEN = fileURLToPath(new URL("../../engine/test/golden", import.meta.url));
const folders = readdirSync(GOLDEN).filter((name) => existsSync(path.join(GOLDEN, name, "config.json")));

const configSchema = z.object({
  dtype: z.enum(["float32", "float16", "bfloat16"]),
  multimodal_projector_bias: z.boolean().default(true),
  text_config: z.object({
    num_hidden_layers: z.int(),
    hidden_size: z.int(),
    vocab_size: z.int(),
    tie_word_embeddings: z.boolean().default(false),
  }),
  vision_config: z.object({ num_hidden_layers: z.int(), hidden_size: z.int() }),
});
type Config = z.infer<typeof configSchema>;

describe.each(folders)("%s", (name) => {
  const folder = path.join(GOLDEN, name);
  const config = configSchema.parse(JSON.parse(readFileSync(path.join(folder, "config.json"), "utf8")));

  test("has exactly the tensors of its architecture, under canonical names", async () => {
    const checkpoint = await Checkpoint.open(folder, { tensorName: canonicalTensorName });
    const { qkvBias = false } = (await openModelFolder(folder)).description.text;
    expect(checkpoint.names().sort()).toEqual(expectedNames(config, qkvBias).sort());
    const { vocab_size: rows, hidden_size: width } = config.text_config;
    const embedding = checkpoint.get("language_model.model.embed_tokens.weight");
    expect(embedding).toMatchObject({ dtype: STORED[config.dtype], shape: [rows, width] });
  });

  test("has weights that can be read, none of them empty or infinite", async () => {
    const checkpoint = await Checkpoint.open(folder, { tensorName: canonicalTensorName });
    for (const tensor of checkpoint.names()) {
      const values = await checkpoint.read(tensor);
      expect(values.every(Number.isFinite) && values.some((value) => value !== 0), tensor).toBe(true);
    }
  });

  test("has a golden beside it", async () => {
    const golden = await Checkpoint.open(folder, { file: "golden.safetensors" });
    const logits = golden.names().filter((tensor) => tensor.endsWith(".logits"));
    expect(logits.length).toBeGreaterThan(0);
    for (const tensor of logits) {
      expect(golden.get(tensor).shape[1]).toBe(config.text_config.vocab_size);
      expect((await golden.read(tensor)).every(Number.isFinite)).toBe(true);
    }
  });
});

const STORED = { float32: "F32", float16: "F16", bfloat16: "BF16" } as const;

function expectedNames(config: Config, qkvBias: boolean): string[] {
  const { text_config: text, vision_config: vision, multimodal_projector_bias: hasBias } = config;
  const withBias = (module: string): string[] => [`${module}.weight`, `${module}.bias`];
  const tower = "vision_tower.vision_model";
  return [
    `${tower}.embeddings.class_embedding`,
    `${tower}.embeddings.patch_embedding.weight`,
    `${tower}.embeddings.position_embedding.weight`,
    ...["pre_layrnorm", "post_layernorm"].flatMap((norm) => withBias(`${tower}.${norm}`)),
    ...perLayer(vision.num_hidden_layers, `${tower}.encoder.layers`, VISION_MODULES).flatMap(withBias),
    ...["linear_1", "linear_2"]
      .map((linear) => `multi_modal_projector.${linear}`)
      .flatMap((linear) => (hasBias ? withBias(linear) : [`${linear}.weight`])),
    "language_model.model.embed_tokens.weight",
    ...perLayer(text.num_hidden_layers, "language_model.model.layers", TEXT_MODULES).map(
      (m) => `${m}.weight`,
    ),
    ...(qkvBias ? perLayer(text.num_hidden_layers, "language_model.model.layers", ATTENTION) : []).map(
      (m) => `${m}.bias`,
    ),
    "language_model.model.norm.weight",
    ...(text.tie_word_embeddings ? [] : ["language_model.lm_head.weight"]),
  ];
}

function perLayer(layers: number, prefix: string, modules: readonly string[]): string[] {
  return Array.from({ length: layers }, (_, layer) =>
    modules.map((module) => `${prefix}.${layer}.${module}`),
  ).flat();
}

const ATTENTION = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
const VISION_MODULES = [
  ...ATTENTION,
  "self_attn.out_proj",
  "layer_norm1",
  "layer_norm2",
  "mlp.fc1",
  "mlp.fc2",
];
const TEXT_MODULES = [
  ...ATTENTION,
  "self_attn.o_proj",
  "mlp.gate_proj",
  "mlp.up_proj",
  "mlp.down_proj",
  "input_layernorm",
  "post_attention_layernorm",
];
