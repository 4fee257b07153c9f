import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { IMAGE_TOKEN, type Tokenizer, createTokenizer } from "./tokenizer.ts";

const SETTINGS = { bos_token: "<s>", eos_token: { content: "</s>" }, clean_up_tokenization_spaces: true };

interface Expected {
  readonly text: string;
  readonly ids: number[];
  readonly withSpecial: number[];
  readonly decoded: string;
  readonly decodedWords: string;
}

function golden(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../test/golden/${name}.json`, import.meta.url), "utf8"));
}

function open(kind: string, settings: object = {}): Tokenizer {
  return createTokenizer(golden(`${kind}-tokenizer`), { ...SETTINGS, ...settings });
}

describe.each(["llama", "byte-level"])("the %s tokenizer equals Hugging Face's", (kind) => {
  const tokenizer = open(kind);

  test.each(golden(`${kind}-expected`) as Expected[])("$text", (expected) => {
    expect(tokenizer.encode(expected.text)).toEqual(expected.ids);
    expect(tokenizer.encodePrompt(expected.text)).toEqual(expected.withSpecial);
    expect(tokenizer.decode(expected.ids)).toBe(expected.decoded);
    expect(tokenizer.decode(expected.ids, { skipSpecialTokens: true })).toBe(expected.decodedWords);
  });

  test.each(golden(`${kind}-expected`) as Expected[])(
    "joined token bytes are the text: $text",
    (expected) => {
      const bytes = Buffer.concat(expected.ids.map((id) => tokenizer.tokenBytes(id)));
      const text = bytes.toString("utf8");
      expect(tokenizer.stripsLeadingSpace ? text.replace(/^ /, "") : text).toBe(expected.decoded);
    },
  );
});

describe("a prompt with images", () => {
  test("holds IMAGE_TOKEN for each, one beginning of text, and chunks as if each began a text", () => {
    const tokenizer = open("llama");
    expect(tokenizer.encodePrompt("A <image>\nB")).toEqual([
      1,
      ...tokenizer.encode("A "),
      IMAGE_TOKEN,
      ...tokenizer.encode("\nB"),
    ]);
    expect(tokenizer.encodePrompt("<image><image>")).toEqual([1, IMAGE_TOKEN, IMAGE_TOKEN]);
    expect(tokenizer.encodePrompt("")).toEqual([1]);
  });

  test("of the demo model begins with the turn's token and the space after it", () => {
    const tokenizer = open("byte-level");
    const [bos, user, space, image, ...rest] = tokenizer.encodePrompt("USER: <image>\nHi ASSISTANT:");
    expect([bos, user, image]).toEqual([0, 4, IMAGE_TOKEN]);
    expect(tokenizer.tokenBytes(space ?? -1)).toEqual(Uint8Array.of(0x20));
    expect(tokenizer.decode(rest)).toBe("\nHiASSISTANT:");
  });

  test("has no beginning of text where the tokenizer has none", () => {
    expect(open("llama", { add_bos_token: false }).encodePrompt("<image>")).toEqual([IMAGE_TOKEN]);
    expect(open("llama", { bos_token: null }).encodePrompt("<image>")).toEqual([IMAGE_TOKEN]);
    const bare = { ...(golden("llama-tokenizer") as object), post_processor: null };
    expect(createTokenizer(bare, SETTINGS).encodePrompt("<image>")).toEqual([IMAGE_TOKEN]);
    expect(createTokenizer(bare, { ...SETTINGS, add_bos_token: true }).encodePrompt("")).toEqual([1]);
  });
});

test("special ids, vocabulary size and the leading space", () => {
  const tokenizer = open("llama");
  expect(tokenizer.bosTokenId).toBe(1);
  expect(tokenizer.eosTokenId).toBe(2);
  expect([...tokenizer.specialIds].sort((a, b) => a - b)).toEqual([0, 1, 2, 420, 421]);
  expect(tokenizer.vocabularySize).toBe(422);
  expect(tokenizer.stripsLeadingSpace).toBe(true);
  expect(open("byte-level").stripsLeadingSpace).toBe(false);
});

test("ids outside the vocabulary and half characters do no harm", () => {
  const tokenizer = open("llama");
  const [first] = tokenizer.encode("é").slice(1);
  expect(tokenizer.tokenBytes(99_999)).toHaveLength(0);
  expect(tokenizer.tokenBytes(IMAGE_TOKEN)).toHaveLength(0);
  expect(tokenizer.decode([99_999])).toBe("");
  expect(tokenizer.decode([])).toBe("");
  expect(tokenizer.tokenBytes(first ?? -1)).toEqual(Uint8Array.of(0xc3));
  expect(tokenizer.decode([first ?? -1])).toBe("\ufffd");
});

describe("a bad tokenizer.json is refused with a sentence", () => {
  const good = golden("llama-tokenizer") as { model: object };
  test.each([
    ["no object", [], "invalid_checkpoint"],
    ["no model", { ...good, model: undefined }, "invalid_checkpoint"],
    ["another algorithm", { ...good, model: { ...good.model, type: "Unigram" } }, "invalid_checkpoint"],
    ["an id of 1e300", { ...good, model: { ...good.model, vocab: { a: 1e300 } } }, "invalid_checkpoint"],
    ["damaged merges", { ...good, model: { ...good.model, merges: [7] } }, "invalid_checkpoint"],
    ["an unknown normalizer", { ...good, normalizer: { type: "Nonsense" } }, "unsupported_model"],
    ["an unknown decoder", { ...good, decoder: { type: "WordPiece" } }, "unsupported_model"],
    ["no decoder", { ...good, decoder: null }, "unsupported_model"],
  ])("%s", (_, definition, code) => {
    expect(() => createTokenizer(definition, SETTINGS)).toThrow(
      expect.objectContaining({ code, name: "LlavaError" }),
    );
  });
});
