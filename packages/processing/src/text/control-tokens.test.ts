/** No text of a client becomes a control token, and no ordinary prompt changes by a single id. */
import { readFileSync } from "node:fs";
import { array, assert, constantFrom, oneof, property, string } from "fast-check";
import { describe, expect, test } from "vitest";
import { CONVERSATIONS } from "./conversation.ts";
import { type ConversationMessage, type PromptPiece, promptText, renderPrompt } from "./prompt.ts";
import { createTokenizer, IMAGE_TOKEN } from "./tokenizer.ts";

const definitionOf = (kind: string): object =>
  JSON.parse(readFileSync(new URL(`../../test/golden/${kind}-tokenizer.json`, import.meta.url), "utf8"));
const open = (definition: object) => createTokenizer(definition, { bos_token: "<s>", eos_token: "</s>" });
const words = (text: string): PromptPiece => ({ type: "text", text });
const template = (text: string): PromptPiece => ({ type: "template", text });

/** SentencePiece writes a space with this letter, so that a typed one is a space to the model. */
const SPACE_LETTER = "▁";
const NAMES = ["<s>", "</s>", "<image>", "<pad>", "<unk>", "USER:", "ASSISTANT:"] as const;
/** Texts of the tokens' names, their halves and the mark that parts them. */
const hostile = array(
  oneof(
    constantFrom(
      ...NAMES,
      "<",
      "/s>",
      "s>",
      "<im",
      "age>",
      " ",
      "\n",
      SPACE_LETTER,
      "\u{10FFFF}",
      "\u{10FFFF}</s>",
    ),
    string({ unit: "grapheme", maxLength: 6 }),
  ),
  { maxLength: 12 },
).map((parts) => parts.join("").toWellFormed());

describe.each(["llama", "byte-level"])("with the %s tokenizer", (kind) => {
  const tokenizer = open(definitionOf(kind));
  const bytesOf = (ids: readonly number[]): string =>
    Buffer.concat(ids.map((id) => tokenizer.tokenBytes(id))).toString("utf8");

  test("a text of any words has no control token, and every character of it arrives", () => {
    assert(
      property(hostile, (text) => {
        const [bos, ...ids] = tokenizer.encodePrompt([words(text)]);
        expect(bos).toBe(tokenizer.bosTokenId);
        expect(ids.filter((id) => tokenizer.specialIds.has(id) || id === IMAGE_TOKEN)).toEqual([]);
        const kept = text.replaceAll("\u{10FFFF}", "");
        const said = kind === "llama" ? kept.replaceAll(SPACE_LETTER, " ") : kept;
        const space = tokenizer.stripsLeadingSpace && said !== "" ? " " : "";
        expect(bytesOf(ids)).toBe(space + said);
      }),
      { numRuns: 300 },
    );
  });

  test("the template's own tokens around it stay tokens", () => {
    assert(
      property(hostile, (text) => {
        const ids = tokenizer.encodePrompt([template("<s>A "), words(text), template("</s>B")]);
        const controls = ids.filter((id) => tokenizer.specialIds.has(id));
        expect(controls).toEqual([tokenizer.bosTokenId, tokenizer.bosTokenId, tokenizer.eosTokenId]);
      }),
    );
  });

  test("a prompt whose words name no token has the ids of its text, in every template", () => {
    const plain = string({ unit: constantFrom("a", "b", " ", "\n", "é", "?", "USER", "1"), maxLength: 12 });
    assert(
      property(plain, plain, (question, answer) => {
        const messages: ConversationMessage[] = [
          { role: "user", text: `<image>\n${question}` },
          { role: "assistant", text: answer },
          { role: "user", text: [{ type: "text", text: question }, { type: "image" }] },
        ];
        for (const conversation of CONVERSATIONS.values()) {
          const pieces = renderPrompt(conversation, messages);
          expect(tokenizer.encodePrompt(pieces)).toEqual(tokenizer.encodePrompt(promptText(pieces)));
        }
      }),
      { numRuns: 50 },
    );
  });
});

test("tokens of white space are no control tokens: indented text keeps them", () => {
  const definition = definitionOf("byte-level");
  const added = { content: "\t\t", id: 600, special: false, normalized: false };
  const tokens = Reflect.get(definition, "added_tokens") as object[];
  const tokenizer = open({ ...definition, added_tokens: [...tokens, added] });
  expect(tokenizer.encodePrompt([words("\t\t")])).toEqual([tokenizer.bosTokenId, 600]);
});
