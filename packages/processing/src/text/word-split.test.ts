import { readFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";
import { array, assert, constantFrom, oneof, property, string } from "fast-check";
import { describe, expect, test } from "vitest";
import type { TokenizerDefinition } from "./tokenizer-definition.ts";
import { splitWords } from "./word-split.ts";

function golden(kind: string): TokenizerDefinition {
  const file = new URL(`../../test/golden/${kind}-tokenizer.json`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")) as TokenizerDefinition;
}
const llama = golden("llama");
const metaspace: TokenizerDefinition = {
  ...llama,
  normalizer: null,
  pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false },
};

describe.each([
  ["spaces by a normalizer", llama],
  ["spaces by Metaspace", metaspace],
])("words one by one give the ids of the whole: %s", (_, definition) => {
  const whole = new Tokenizer(definition, {});
  const split = new Tokenizer(splitWords(definition), {});

  test("for any text", () => {
    const piece = oneof(
      constantFrom(" ", "  ", "\n", "▁", "the", "circle", " color is", "</s>", "<image>", "é"),
      string(),
    );
    assert(
      property(array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join("");
        expect(split.encode(text).ids).toEqual(whole.encode(text).ids);
      }),
      { numRuns: 300 },
    );
  });
});

test("a merge over the start of a word forbids it", () => {
  const merges = [...llama.model.merges, "e ▁the"];
  const definition = { ...llama, model: { ...llama.model, merges } };
  expect(splitWords(definition)).toBe(definition);
});

test("byte-level tokenizers split already", () => {
  const definition = golden("byte-level");
  expect(splitWords(definition)).toBe(definition);
});
