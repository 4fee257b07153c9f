import { Tokenizer } from "@huggingface/tokenizers";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

import type { BytePairEncoder } from "./bpe.ts";
import { dialogue } from "./dialogue.ts";
import type { Turn } from "./dialogue.ts";
import { Random, sceneOf } from "../../scenes/index.ts";
import { textOnlyDialogue } from "./text-only-dialogue.ts";
import {
  EOS,
  IMAGE,
  PAD,
  SPECIAL_TOKENS,
  VOCABULARY_SIZE,
  trainTokenizer,
  writeTokenizer,
} from "./demo-tokenizer.ts";
import { encodeDialogue, prefixIds } from "./tokens.ts";

const BUDGET = 112;
let encoder: BytePairEncoder;
let folder: string;
let library: Tokenizer;

beforeAll(async () => {
  encoder = trainTokenizer(1, 1500);
  folder = await mkdtemp(join(tmpdir(), "tokenizer-"));
  await writeTokenizer(folder, encoder);
  const read = async (name: string): Promise<object> =>
    JSON.parse(await readFile(join(folder, name), "utf8"));
  library = new Tokenizer(await read("tokenizer.json"), await read("tokenizer_config.json"));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

const dialogueOf = (i: number): Turn[] =>
  (i % 3 === 0 ? textOnlyDialogue : dialogue)(sceneOf("test", i), Random.of(i, "tokens"));

test("the vocabulary is full, the special tokens first", () => {
  expect(encoder.size).toBe(VOCABULARY_SIZE);
  SPECIAL_TOKENS.forEach((name, id) => expect(encoder.special(name)).toBe(id));
});

test("dialogues have the ids that the library finds in their text", () => {
  for (let i = 0; i < 1000; i++) {
    const turns = dialogueOf(i);
    const { inputIds, length } = encodeDialogue(encoder, turns, 1000);
    const ids = [...prefixIds(encoder), encoder.special(IMAGE), ...inputIds.subarray(0, length)];
    const text = turns.map(({ question, answer }) => `${question} ASSISTANT: ${answer}${EOS}`).join("USER: ");
    if (library.encode(`USER: ${IMAGE}\n${text}`).ids.join() !== ids.join()) expect.fail(text);
  }
});

test("any other text has the library's ids too", () => {
  const texts = [
    " ",
    "  two  spaces \n\n lines\t\r\n",
    "Grüße, Welt! ñandú",
    "日本語のテキスト 12345",
    "🎉👩‍👩‍👧 emoji 🏳️‍🌈 flags",
    "it's we'll they'd I'M DON'T",
    "0123456789 3.14 v2",
    "١٢٣ ²³ ½ Ⅷ",
    "a\u0301\u200d\u00a0b",
    "user: assistant: <image",
    "\u0000\u0001",
    "x".repeat(300),
  ];
  for (const text of texts) {
    const ids = encoder.encode(text);
    expect(ids, text).toEqual(library.encode(text, { add_special_tokens: false }).ids);
    expect(encoder.decode(ids)).toBe(text);
    expect(library.decode(ids)).toBe(text);
  }
});

test("what is supervised is the answers and their ends, and nothing else", () => {
  for (let i = 0; i < 500; i++) {
    const turns = dialogueOf(i);
    const { inputIds, labels, weights, answers, length } = encodeDialogue(encoder, turns, BUDGET);
    const fitting = turns.slice(0, answers.length);
    const supervised = [...labels].filter((_, position) => weights[position] === 1);
    expect(encoder.decode(supervised)).toBe(fitting.map(({ answer }) => ` ${answer}${EOS}`).join(""));
    expect([...labels.subarray(0, -1)]).toEqual([...inputIds.subarray(1)]);
    for (const [turn, { from, to, masked }] of answers.entries()) {
      expect(masked.map((id) => encoder.decode([id]))).toEqual(
        fitting[turn]!.masked.map((word) => ` ${word}`),
      );
      expect(encoder.decode(labels.subarray(from, to))).toBe(` ${fitting[turn]!.answer}${EOS}`);
    }
    expect([...inputIds.subarray(length)].every((id) => id === encoder.special(PAD))).toBe(true);
  }
});

test("a dialogue about a picture fills its budget without breaking it", () => {
  let filled = 0;
  for (let i = 0; i < 500; i++) {
    const turns = dialogue(sceneOf("train", i), Random.of(i, "budget"));
    const { inputIds, labels, weights, answers, length } = encodeDialogue(encoder, turns, BUDGET);
    for (const array of [inputIds, labels, weights]) expect(array).toHaveLength(BUDGET);
    expect(answers.length).toBeGreaterThan(0);
    filled += length;
  }
  expect(filled / 500).toBeGreaterThan(0.8 * BUDGET);
});

test("no turn fits into nothing", () => {
  expect(encodeDialogue(encoder, dialogueOf(1), 3)).toMatchObject({ length: 0, answers: [] });
});
