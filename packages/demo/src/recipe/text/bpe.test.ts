import { assert, property, string } from "fast-check";
import { expect, test } from "vitest";

import { BytePairEncoder, trainBpe, written } from "./bpe.ts";

const SPECIALS = ["<s>", "</s>"];
const byte = (character: string): number => SPECIALS.length + character.charCodeAt(0);

test("the most frequent pair is merged first, then pairs with it", () => {
  const { merges } = trainBpe(["low low low lower new"], 2 + 256 + 3, SPECIALS);
  const [lo, low] = [258, 259];
  expect(merges).toEqual([
    [byte("o"), byte("w")],
    [byte("l"), lo],
    [byte(" "), low],
  ]);
});

test("training stops when no pair occurs twice", () => {
  expect(trainBpe(["ab cd"], 1000, SPECIALS).merges).toEqual([]);
  expect(trainBpe(["ab ab"], 1000, SPECIALS).merges).toHaveLength(1);
});

test("merges cross neither words nor digits", () => {
  const encoder = new BytePairEncoder(trainBpe(["in 12 in 12 in 12, don't don't"], 600, SPECIALS));
  for (let id = SPECIALS.length; id < encoder.size; id++) {
    expect(encoder.decode([id])).toMatch(/^( ?[a-zA-Z]+|'t|[^])$/u);
  }
  expect(encoder.encode(" 12").map((id) => encoder.decode([id]))).toEqual([" ", "1", "2"]);
});

test("any text comes back from its ids", () => {
  const encoder = new BytePairEncoder(
    trainBpe(["the quick brown fox, the lazy dog; the end"], 300, SPECIALS),
  );
  assert(
    property(string({ unit: "binary" }), (text) => {
      // Halves of surrogate pairs are no characters and have no bytes.
      const whole = text.toWellFormed();
      expect(encoder.decode(encoder.encode(whole))).toBe(whole);
    }),
  );
  expect(encoder.decode(encoder.encode("\ufeffa"))).toBe("\ufeffa");
  expect(encoder.encode("")).toEqual([]);
});

test("special tokens are ids, never found in text", () => {
  const encoder = new BytePairEncoder(trainBpe(["</s> </s> </s>"], 300, SPECIALS));
  expect(encoder.special("</s>")).toBe(1);
  expect(encoder.encode("</s>")).not.toContain(1);
  expect(encoder.decode([0, ...encoder.encode("a"), 1])).toBe("<s>a</s>");
  expect(() => encoder.special("<mask>")).toThrow(RangeError);
  expect(() => encoder.decode([encoder.size])).toThrow(RangeError);
});

test("a byte is written as one visible character, as in GPT-2's files", () => {
  expect(written(new TextEncoder().encode(" é\n"))).toBe("ĠÃ©Ċ");
  const all = Array.from({ length: 256 }, (_, value) => written(Uint8Array.of(value)));
  expect(new Set(all).size).toBe(256);
  for (const character of all) expect(character).toMatch(/^[^\s\p{Cc}]$/u);
});
