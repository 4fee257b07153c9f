/** Trains the demo's tokenizer on its dialogues and writes it in the format of Hugging Face's tokenizers. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { BytePairEncoder, DIGIT, trainBpe, written } from "./bpe.ts";
import { COMMON_WORDS } from "./common-words.ts";
import { dialogue } from "./dialogue.ts";
import { Random, sceneOf } from "../../scenes/index.ts";
import { textOnlyDialogue } from "./text-only-dialogue.ts";

export const BOS = "<s>";
export const EOS = "</s>";
export const PAD = "<pad>";
export const IMAGE = "<image>";
export const USER = "USER:";
export const ASSISTANT = "ASSISTANT:";

/** The special tokens in the order of their ids, from 0. */
export const SPECIAL_TOKENS = [BOS, EOS, PAD, IMAGE, USER, ASSISTANT] as const;

export const VOCABULARY_SIZE = 1024;

/** Trains the tokenizer, which takes seconds; equal seeds give equal tokenizers. */
export function trainTokenizer(seed: number, dialogues = 6000): BytePairEncoder {
  return new BytePairEncoder(trainBpe(corpus(seed, dialogues), VOCABULARY_SIZE, SPECIAL_TOKENS));
}

function* corpus(seed: number, dialogues: number): Generator<string> {
  for (let i = 0; i < dialogues; i++) {
    const random = Random.of(seed, "tokenizer", i);
    const scene = sceneOf("train", i);
    for (const { question, answer } of i % 4 === 0
      ? textOnlyDialogue(scene, random)
      : dialogue(scene, random)) {
      yield ` ${question}`;
      yield ` ${answer}`;
    }
  }
  // Twice, because a pair must occur twice to be merged.
  for (const word of [...COMMON_WORDS, ...COMMON_WORDS]) yield ` ${word}`;
}

/** Writes tokenizer.json and tokenizer_config.json into the folder, which is made if it is missing. */
export async function writeTokenizer(folder: string, encoder: BytePairEncoder): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeJson(join(folder, "tokenizer.json"), tokenizerJson(encoder));
  await writeJson(join(folder, "tokenizer_config.json"), tokenizerConfig(encoder));
}

async function writeJson(path: string, value: object): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** The content of tokenizer.json. */
function tokenizerJson(encoder: BytePairEncoder): object {
  const { specials, merges } = encoder.vocabulary;
  const names = Array.from({ length: encoder.size }, (_, id) =>
    id < specials.length ? (specials[id] ?? "") : written(encoder.bytesOf(id)),
  );
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specials.map((content, id) => ({ id, ...addedToken(content) })),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: DIGIT }, behavior: "Isolated", invert: false },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: BOS, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [
        { SpecialToken: { id: BOS, type_id: 0 } },
        { Sequence: { id: "A", type_id: 0 } },
        { Sequence: { id: "B", type_id: 0 } },
      ],
      special_tokens: { [BOS]: { id: BOS, ids: [encoder.special(BOS)], tokens: [BOS] } },
    },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(names.map((name, id) => [name, id])),
      merges: merges.map(([left, right]) => `${names[left] ?? ""} ${names[right] ?? ""}`),
    },
  };
}

/** ASSISTANT: takes the space before it along, so that a prompt ends in the same token however it is spaced. */
function addedToken(content: string): object {
  const lstrip = content === ASSISTANT;
  return { content, single_word: false, lstrip, rstrip: false, normalized: false, special: true };
}

function tokenizerConfig(encoder: BytePairEncoder): object {
  return {
    added_tokens_decoder: Object.fromEntries(
      encoder.vocabulary.specials.map((content, id) => [id, addedToken(content)]),
    ),
    additional_special_tokens: [IMAGE, USER, ASSISTANT],
    bos_token: BOS,
    clean_up_tokenization_spaces: false,
    eos_token: EOS,
    image_token: IMAGE,
    model_max_length: 512,
    pad_token: PAD,
    padding_side: "left",
    tokenizer_class: "PreTrainedTokenizerFast",
    unk_token: null,
  };
}
