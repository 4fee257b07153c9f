/** Writes a `llava` model folder of random float16 weights, a piece at a time: 14 GB need no memory. */
import { type FileHandle, mkdir, open, writeFile } from "node:fs/promises";
import path from "node:path";
import {
  encodeHeader,
  writeFully,
} from "../../../../packages/checkpoint/src/safetensors/safetensors-writer.ts";
import { choose, normalChoices, RandomBits } from "./random-values.ts";
import { IMAGE_TOKEN, PAD_TOKEN, type Shape, type TensorPlan, tensorPlans } from "./shapes.ts";
import { BOS_TOKEN, EOS_TOKEN, tokenizerFiles } from "./synthetic-tokenizer.ts";

/** Hugging Face's own limit of one file. */
const SHARD_BYTES = 5_000_000_000;
const PIECE_BYTES = 1 << 22;

export interface RandomCheckpointOptions {
  readonly seed: number;
  /** Most bytes of one file. */
  readonly shardBytes?: number;
  /** Is told how much of all bytes is written, from 0 to 1. */
  readonly report?: (share: number) => void;
}

export async function writeRandomCheckpoint(
  folder: string,
  shape: Shape,
  { seed, shardBytes = SHARD_BYTES, report }: RandomCheckpointOptions,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const plans = tensorPlans(shape);
  const total = plans.reduce((sum, plan) => sum + bytesOf(plan), 0);
  const shards = splitShards(plans, shardBytes);
  const random = new RandomBits(seed);
  const names = new Map<string, string>();
  let done = 0;
  for (const [i, shard] of shards.entries()) {
    const number = (n: number): string => String(n).padStart(5, "0");
    const file =
      shards.length === 1
        ? "model.safetensors"
        : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    for (const { name } of shard) names.set(name, file);
    await writeShard(path.join(folder, file), shard, random, (bytes) => {
      done += bytes;
      report?.(done / total);
    });
  }
  if (shards.length > 1) {
    const index = { metadata: { total_size: total }, weight_map: Object.fromEntries(names) };
    await writeJson(folder, "model.safetensors.index.json", index);
  }
  await writeSettings(folder, shape);
}

function splitShards(plans: readonly TensorPlan[], shardBytes: number): TensorPlan[][] {
  const shards: TensorPlan[][] = [[]];
  let bytes = 0;
  for (const plan of plans) {
    if (bytes + bytesOf(plan) > shardBytes) {
      shards.push([]);
      bytes = 0;
    }
    bytes += bytesOf(plan);
    shards.at(-1)?.push(plan);
  }
  return shards;
}

async function writeShard(
  file: string,
  plans: readonly TensorPlan[],
  random: RandomBits,
  wrote: (bytes: number) => void,
): Promise<void> {
  await using handle = await open(file, "w");
  const entries = plans.map(({ name, shape }) => ({ name, shape, dtype: "F16" as const }));
  await writeFully(handle, encodeHeader(entries, { format: "pt" }));
  for (const plan of plans) await writeTensor(handle, plan, random, wrote);
}

async function writeTensor(
  handle: FileHandle,
  plan: TensorPlan,
  random: RandomBits,
  wrote: (bytes: number) => void,
): Promise<void> {
  const choices = normalChoices(plan.mean, plan.deviation);
  const words = new Uint32Array(PIECE_BYTES / 4);
  for (let left = bytesOf(plan); left > 0; left -= PIECE_BYTES) {
    const bytes = Math.min(left, PIECE_BYTES);
    random.write(words.subarray(0, Math.ceil(bytes / 4)));
    choose(new Uint16Array(words.buffer, 0, bytes / 2), choices);
    await writeFully(handle, new Uint8Array(words.buffer, 0, bytes));
    wrote(bytes);
  }
}

function bytesOf({ shape }: TensorPlan): number {
  return shape.reduce((product, axis) => product * axis, 2);
}

async function writeSettings(folder: string, { text, vision }: Shape): Promise<void> {
  const { tokenizer, settings } = tokenizerFiles(text.context);
  await writeJson(folder, "tokenizer.json", tokenizer);
  await writeJson(folder, "tokenizer_config.json", settings);
  await writeJson(folder, "preprocessor_config.json", {
    image_processor_type: "CLIPImageProcessor",
    size: { shortest_edge: vision.image },
    crop_size: { height: vision.image, width: vision.image },
  });
  await writeJson(folder, "generation_config.json", { bos_token_id: BOS_TOKEN, eos_token_id: EOS_TOKEN });
  // Last: a folder with it is whole.
  await writeJson(folder, "config.json", configOf({ text, vision }));
}

function configOf({ text, vision }: Shape): unknown {
  return {
    architectures: ["LlavaForConditionalGeneration"],
    model_type: "llava",
    // The folder's name need not tell which template the model has.
    conversation_template: "llava_v1",
    image_seq_length: (vision.image / vision.patch) ** 2,
    image_token_index: IMAGE_TOKEN,
    projector_hidden_act: "gelu",
    vision_feature_layer: -2,
    vision_feature_select_strategy: "default",
    tie_word_embeddings: false,
    torch_dtype: "float16",
    vision_config: {
      model_type: "clip_vision_model",
      hidden_size: vision.hidden,
      intermediate_size: vision.intermediate,
      num_hidden_layers: vision.layers,
      num_attention_heads: vision.heads,
      num_channels: 3,
      image_size: vision.image,
      patch_size: vision.patch,
      projection_dim: vision.hidden,
      hidden_act: "quick_gelu",
      layer_norm_eps: 1e-5,
    },
    text_config: {
      model_type: "llama",
      hidden_size: text.hidden,
      intermediate_size: text.intermediate,
      num_hidden_layers: text.layers,
      num_attention_heads: text.heads,
      num_key_value_heads: text.kvHeads,
      vocab_size: text.vocabulary,
      max_position_embeddings: text.context,
      rope_theta: 10_000,
      rms_norm_eps: 1e-5,
      hidden_act: "silu",
      tie_word_embeddings: false,
      bos_token_id: BOS_TOKEN,
      eos_token_id: EOS_TOKEN,
      pad_token_id: PAD_TOKEN,
      torch_dtype: "float16",
    },
  };
}

async function writeJson(folder: string, name: string, value: unknown): Promise<void> {
  await writeFile(path.join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
}
