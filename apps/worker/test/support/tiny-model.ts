/** Writes a LLaVA checkpoint of random weights: a real model for the real engine, small enough to make for each test run. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface TinyModel {
  readonly contextLength: number;
  readonly tokensPerImage: number;
}

const HIDDEN = 64;
const INNER = 128;
const LAYERS = 2;
const HEADS = 4;
const KV_HEADS = 2;
const IMAGE_SIZE = 32;
const PATCH_SIZE = 16;
const NUM_PATCHES = (IMAGE_SIZE / PATCH_SIZE) ** 2;
const CONTEXT_LENGTH = 1024;
const SPECIALS = ["<s>", "</s>", "<pad>", "<image>"];
const VOCABULARY = [...SPECIALS, ...byteAlphabet()];
/** The only tokens that the random output layer can prefer, so that every answer is ASCII and none ends by itself. */
const LETTERS = new Set("abcdefghijklmnopqrstuvwxyz");

export async function writeTinyModel(folder: string): Promise<TinyModel> {
  await mkdir(folder, { recursive: true });
  const json = (name: string, value: unknown): Promise<void> =>
    writeFile(join(folder, name), JSON.stringify(value));
  await json("config.json", config());
  await json("generation_config.json", { bos_token_id: 0, eos_token_id: 1 });
  await json("preprocessor_config.json", preprocessor());
  await json("tokenizer.json", tokenizer());
  await json("tokenizer_config.json", { bos_token: "<s>", eos_token: "</s>", add_bos_token: true });
  await writeFile(join(folder, "model.safetensors"), safetensors(weights()));
  return { contextLength: CONTEXT_LENGTH, tokensPerImage: NUM_PATCHES };
}

function config(): object {
  return {
    architectures: ["LlavaForConditionalGeneration"],
    model_type: "llava",
    image_token_index: 3,
    projector_hidden_act: "gelu",
    vision_feature_layer: -2,
    vision_feature_select_strategy: "default",
    conversation_template: "llava_v1",
    vision_config: {
      model_type: "clip_vision_model",
      hidden_size: HIDDEN,
      intermediate_size: INNER,
      num_hidden_layers: 2,
      num_attention_heads: HEADS,
      image_size: IMAGE_SIZE,
      patch_size: PATCH_SIZE,
    },
    text_config: {
      model_type: "llama",
      hidden_size: HIDDEN,
      intermediate_size: INNER,
      num_hidden_layers: LAYERS,
      num_attention_heads: HEADS,
      num_key_value_heads: KV_HEADS,
      vocab_size: VOCABULARY.length,
      max_position_embeddings: CONTEXT_LENGTH,
      rms_norm_eps: 1e-5,
      bos_token_id: 0,
      eos_token_id: 1,
    },
  };
}

function preprocessor(): object {
  return {
    do_resize: true,
    size: { shortest_edge: IMAGE_SIZE },
    do_center_crop: true,
    crop_size: { height: IMAGE_SIZE, width: IMAGE_SIZE },
    resample: 3,
    image_mean: [0.48145466, 0.4578275, 0.40821073],
    image_std: [0.26862954, 0.26130258, 0.27577711],
  };
}

/** A byte-level tokenizer without merges: one token for each byte. */
function tokenizer(): object {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: "1.0",
    added_tokens: SPECIALS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: "BPE", vocab: Object.fromEntries(VOCABULARY.map((token, id) => [token, id])), merges: [] },
  };
}

type Weights = Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

function weights(): Weights {
  const tensors: Weights = new Map();
  const random = uniform(7);
  const fill = (name: string, shape: readonly number[], value: () => number): void => {
    const size = shape.reduce((product, edge) => product * edge, 1);
    tensors.set(name, { shape, data: Float32Array.from({ length: size }, value) });
  };
  const matrix = (name: string, ...shape: number[]): void =>
    fill(`${name}.weight`, shape, () => 0.25 * random());
  const ones = (name: string): void => fill(`${name}.weight`, [HIDDEN], () => 1);
  const zeros = (name: string, size: number): void => fill(`${name}.bias`, [size], () => 0);
  const linear = (name: string, out: number, input: number): void => {
    matrix(name, out, input);
    zeros(name, out);
  };
  addVision({ fill, matrix, ones, zeros, linear, random });
  linear("multi_modal_projector.linear_1", HIDDEN, HIDDEN);
  linear("multi_modal_projector.linear_2", HIDDEN, HIDDEN);
  addText({ matrix, ones });
  zeroOthers(tensors);
  return tensors;
}

interface Fillers {
  readonly fill: (name: string, shape: readonly number[], value: () => number) => void;
  readonly matrix: (name: string, ...shape: number[]) => void;
  readonly ones: (name: string) => void;
  readonly zeros: (name: string, size: number) => void;
  readonly linear: (name: string, out: number, input: number) => void;
  readonly random: () => number;
}

function addVision({ fill, matrix, ones, zeros, linear, random }: Fillers): void {
  const tower = "vision_tower.vision_model";
  const norm = (name: string): void => {
    ones(name);
    zeros(name, HIDDEN);
  };
  fill(`${tower}.embeddings.class_embedding`, [HIDDEN], random);
  matrix(`${tower}.embeddings.patch_embedding`, HIDDEN, 3, PATCH_SIZE, PATCH_SIZE);
  matrix(`${tower}.embeddings.position_embedding`, NUM_PATCHES + 1, HIDDEN);
  norm(`${tower}.pre_layrnorm`);
  norm(`${tower}.post_layernorm`);
  for (const layer of [0, 1].map((index) => `${tower}.encoder.layers.${index}`)) {
    norm(`${layer}.layer_norm1`);
    norm(`${layer}.layer_norm2`);
    for (const name of ["q_proj", "k_proj", "v_proj", "out_proj"])
      linear(`${layer}.self_attn.${name}`, HIDDEN, HIDDEN);
    linear(`${layer}.mlp.fc1`, INNER, HIDDEN);
    linear(`${layer}.mlp.fc2`, HIDDEN, INNER);
  }
}

function addText({ matrix, ones }: Pick<Fillers, "matrix" | "ones">): void {
  const kvSize = (HIDDEN / HEADS) * KV_HEADS;
  matrix("language_model.model.embed_tokens", VOCABULARY.length, HIDDEN);
  for (let index = 0; index < LAYERS; index++) {
    const layer = `language_model.model.layers.${index}`;
    ones(`${layer}.input_layernorm`);
    ones(`${layer}.post_attention_layernorm`);
    matrix(`${layer}.self_attn.q_proj`, HIDDEN, HIDDEN);
    matrix(`${layer}.self_attn.k_proj`, kvSize, HIDDEN);
    matrix(`${layer}.self_attn.v_proj`, kvSize, HIDDEN);
    matrix(`${layer}.self_attn.o_proj`, HIDDEN, HIDDEN);
    matrix(`${layer}.mlp.gate_proj`, INNER, HIDDEN);
    matrix(`${layer}.mlp.up_proj`, INNER, HIDDEN);
    matrix(`${layer}.mlp.down_proj`, HIDDEN, INNER);
  }
  ones("language_model.model.norm");
  matrix("language_model.lm_head", VOCABULARY.length, HIDDEN);
}

/** A token whose output row is zero has the logit 0; among 26 random ones some are always above it. */
function zeroOthers(tensors: Weights): void {
  const head = tensors.get("language_model.lm_head.weight");
  for (const [id, token] of VOCABULARY.entries())
    if (!LETTERS.has(token)) head?.data.fill(0, id * HIDDEN, (id + 1) * HIDDEN);
}

/** The format is 8 bytes of header length, a JSON header with offsets, the tensors' bytes. */
function safetensors(tensors: Weights): Buffer {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    header[name] = { dtype: "F32", shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const text = JSON.stringify(header);
  const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([
    length,
    padded,
    ...[...tensors.values()].map(({ data }) => Buffer.from(data.buffer)),
  ]);
}

/** GPT-2's names of the 256 bytes: printable ones are themselves, the others follow U+0100. */
function byteAlphabet(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCodePoint(isPrintable ? byte : next++);
  });
}

/** mulberry32, from -1 to 1: the same weights on every machine. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}
