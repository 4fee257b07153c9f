/**
 * Writes the language model of a shape as a GGUF file of random blocks, for llama.cpp. Types are those that its own
 * quantizing tool chooses for Q4_0: matrices and embedding Q4_0, the head Q6_K, norms float32.
 */
import { type FileHandle, open, rename } from "node:fs/promises";
import { writeFully } from "../../../../packages/checkpoint/src/safetensors/safetensors-writer.ts";
import {
  encodeGgufHeader,
  GGML_TYPES,
  type GgufTensor,
  type GgufValue,
  padding,
  tensorBytes,
} from "./gguf-header.ts";
import { normalChoices, RandomBits } from "./random-values.ts";
import type { TextShape } from "./shapes.ts";
import { BOS_TOKEN, EOS_TOKEN, tokenNames } from "./synthetic-tokenizer.ts";

/** A tensor, and how far its values are spread. */
interface Plan extends GgufTensor {
  readonly deviation: number;
}

/** Blocks written at once. */
const PIECE_BLOCKS = 1 << 14;
/** Standard deviation of 0 … 15 and of 0 … 63, all equally likely. */
const SPREAD_4 = 4.61;
const SPREAD_6 = 18.47;
/** llama_ftype, "mostly Q4_0"; version 2 is that of today's blocks. */
const FILE_TYPE = 2;
const QUANTIZATION_VERSION = 2;

export async function writeRandomGguf(
  file: string,
  shape: TextShape,
  seed: number,
  report: (share: number) => void,
): Promise<void> {
  const plans = tensorsOf(shape);
  const total = plans.reduce((sum, plan) => sum + tensorBytes(plan), 0);
  const random = new RandomBits(seed);
  const partial = `${file}.partial`;
  let done = 0;
  {
    await using handle = await open(partial, "w");
    await writeFully(handle, encodeGgufHeader(settingsOf(shape), plans));
    for (const plan of plans) {
      await writeTensor(handle, plan, random);
      done += tensorBytes(plan);
      report(done / total);
    }
  }
  await rename(partial, file);
}

function tensorsOf({ hidden, intermediate, layers, heads, kvHeads, vocabulary }: TextShape): Plan[] {
  const keys = (hidden / heads) * kvHeads;
  const matrix = (name: string, rows: number, columns: number): Plan => ({
    name: `${name}.weight`,
    shape: [rows, columns],
    type: "Q4_0",
    deviation: 1 / Math.sqrt(columns),
  });
  const norm = (name: string): Plan => ({
    name: `${name}.weight`,
    shape: [hidden],
    type: "F32",
    deviation: 0,
  });
  const plans: Plan[] = [{ ...matrix("token_embd", vocabulary, hidden), deviation: 0.6 }];
  for (let layer = 0; layer < layers; layer++) {
    const at = `blk.${layer}.`;
    plans.push(
      norm(`${at}attn_norm`),
      matrix(`${at}attn_q`, hidden, hidden),
      matrix(`${at}attn_k`, keys, hidden),
      matrix(`${at}attn_v`, keys, hidden),
      matrix(`${at}attn_output`, hidden, hidden),
      norm(`${at}ffn_norm`),
      matrix(`${at}ffn_gate`, intermediate, hidden),
      matrix(`${at}ffn_up`, intermediate, hidden),
      matrix(`${at}ffn_down`, hidden, intermediate),
    );
  }
  const head = matrix("output", vocabulary, hidden);
  return [...plans, norm("output_norm"), { ...head, type: "Q6_K", deviation: 2 * head.deviation }];
}

function settingsOf(shape: TextShape): Record<string, GgufValue> {
  const { hidden, intermediate, layers, heads, kvHeads, context, vocabulary } = shape;
  return {
    "general.architecture": "llama",
    "general.name": "random",
    "general.file_type": FILE_TYPE,
    "general.quantization_version": QUANTIZATION_VERSION,
    "llama.context_length": context,
    "llama.embedding_length": hidden,
    "llama.block_count": layers,
    "llama.feed_forward_length": intermediate,
    "llama.attention.head_count": heads,
    "llama.attention.head_count_kv": kvHeads,
    "llama.attention.layer_norm_rms_epsilon": { float: 1e-5 },
    "llama.rope.dimension_count": hidden / heads,
    "llama.rope.freq_base": { float: 10_000 },
    "llama.vocab_size": vocabulary,
    ...vocabularySettings(vocabulary),
  };
}

/** SentencePiece's form, which has tokens for all bytes; never used but to say what an id means. */
function vocabularySettings(vocabulary: number): Record<string, GgufValue> {
  const NORMAL = 1;
  const UNKNOWN = 2;
  const CONTROL = 3;
  const BYTE = 6;
  const names = Array.from({ length: vocabulary }, (_, id) => tokenNamesAt(id));
  const kinds = names.map((_, id) => {
    if (id === 0) return UNKNOWN;
    if (id <= EOS_TOKEN) return CONTROL;
    return id < FIRST_WORD ? BYTE : NORMAL;
  });
  return {
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": { strings: names },
    "tokenizer.ggml.scores": { floats: names.map((_, id) => -id) },
    "tokenizer.ggml.token_type": { int32s: kinds },
    "tokenizer.ggml.bos_token_id": BOS_TOKEN,
    "tokenizer.ggml.eos_token_id": EOS_TOKEN,
    "tokenizer.ggml.unknown_token_id": 0,
  };
}

const SPECIALS = tokenNames().slice(0, EOS_TOKEN + 1);
const FIRST_WORD = SPECIALS.length + 256;

function tokenNamesAt(id: number): string {
  const special = SPECIALS[id];
  if (special !== undefined) return special;
  if (id >= FIRST_WORD) return `▁w${id}`;
  return `<0x${(id - SPECIALS.length).toString(16).toUpperCase().padStart(2, "0")}>`;
}

async function writeTensor(handle: FileHandle, plan: Plan, random: RandomBits): Promise<void> {
  const bytes = tensorBytes(plan);
  if (plan.type === "F32") {
    await writeFully(handle, new Uint8Array(new Float32Array(bytes / 4).fill(1).buffer));
  } else {
    const size = GGML_TYPES[plan.type].bytes;
    const words = new Uint32Array(Math.ceil((PIECE_BLOCKS * size) / 4));
    for (let left = bytes; left > 0; left -= PIECE_BLOCKS * size) {
      random.write(words);
      const piece = new Uint8Array(words.buffer, 0, Math.min(left, PIECE_BLOCKS * size));
      (plan.type === "Q4_0" ? finishQ4 : finishQ6)(piece, plan.deviation);
      await writeFully(handle, piece);
    }
  }
  await writeFully(handle, new Uint8Array(padding(bytes)));
}

/** A block is its scale and 32 nibbles, which may stay random. */
function finishQ4(blocks: Uint8Array, deviation: number): void {
  writeScales(blocks, { size: GGML_TYPES.Q4_0.bytes, at: 0, scale: deviation / SPREAD_4 });
}

/** A block is 256 values of 6 bits, 16 scales of 8 bits and the scale of these. */
function finishQ6(blocks: Uint8Array, deviation: number): void {
  const { bytes: size } = GGML_TYPES.Q6_K;
  const SCALES = 192;
  for (let block = 0; block < blocks.length; block += size) {
    for (let i = block + SCALES; i < block + SCALES + 16; i++) {
      const bits = blocks[i] ?? 0;
      const magnitude = 32 + (bits & 31);
      blocks[i] = bits & 0x80 ? 256 - magnitude : magnitude;
    }
  }
  writeScales(blocks, { size, at: SCALES + 16, scale: deviation / (SPREAD_6 * 48) });
}

/** Writes scales of either sign: the ranges reach further down than up, which must not add up to a mean. */
function writeScales(
  blocks: Uint8Array,
  { size, at, scale }: { readonly size: number; readonly at: number; readonly scale: number },
): void {
  // The only value of a distribution without any width.
  const [bits = 0] = normalChoices(scale, 0);
  for (let block = 0; block < blocks.length; block += size) {
    const sign = (blocks[block + at + 1] ?? 0) & 0x80;
    blocks[block + at] = bits & 0xff;
    blocks[block + at + 1] = sign | (bits >>> 8);
  }
}
