import { array, assert, constantFrom, integer, property, string, tuple } from "fast-check";
import { describe, expect, it } from "vitest";
import { Detokenizer, type TokenText } from "./detokenizer.ts";

const END = 999;

/** Tokens that are pieces of a text's bytes; END is a special one. */
function piecesOf(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let from = 0, i = 0; from < bytes.length; i++) {
    const length = lengths[i % lengths.length] ?? 1;
    pieces.push(bytes.subarray(from, from + length));
    from += length;
  }
  return pieces;
}

function tokensOf(pieces: readonly Uint8Array[], stripsLeadingSpace = false): TokenText {
  return {
    tokenBytes: (id) => pieces[id] ?? new Uint8Array(),
    specialIds: new Set([END]),
    stripsLeadingSpace,
  };
}

interface Answer {
  readonly deltas: readonly string[];
  readonly isStopped: boolean;
}

function answer(pieces: readonly Uint8Array[], stops: readonly string[], stripsLeadingSpace = false): Answer {
  const detokenizer = new Detokenizer(tokensOf(pieces, stripsLeadingSpace), stops);
  const deltas: string[] = [];
  for (const id of pieces.keys()) {
    const { text, isStopped } = detokenizer.push(id);
    deltas.push(text);
    if (isStopped) return { deltas, isStopped };
  }
  const { text, isStopped } = detokenizer.finish();
  return { deltas: [...deltas, text], isStopped };
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const words = (...texts: string[]): Uint8Array[] => texts.map(bytesOf);
const someText = string({ unit: "binary", maxLength: 40 }).map((text) => text.toWellFormed());
const someLengths = array(integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 12 });

describe("characters of the detokenizer", () => {
  it("come whole, however their bytes are spread over tokens", () => {
    assert(
      property(someText, someLengths, (text, lengths) => {
        const { deltas } = answer(piecesOf(bytesOf(text), lengths), []);
        expect(deltas.join("")).toBe(text);
        expect(deltas.every((delta) => delta.isWellFormed())).toBe(true);
        if (!text.includes("\ufffd")) expect(deltas.join("")).not.toContain("\ufffd");
      }),
      { numRuns: 300 },
    );
  });

  it("wait for their last byte", () => {
    const detokenizer = new Detokenizer(tokensOf(piecesOf(bytesOf("😀!"), [1])), []);
    expect(Array.from({ length: 5 }, (_, id) => detokenizer.push(id).text)).toEqual(["", "", "", "😀", "!"]);
  });

  it("that are cut off by the end, or are none, become U+FFFD as in any decoder", () => {
    expect(answer([bytesOf("é").subarray(0, 1)], []).deltas).toEqual(["", "\ufffd"]);
    expect(answer([Uint8Array.of(0x61, 0xff), bytesOf("b")], []).deltas.join("")).toBe("a\ufffdb");
    assert(
      property(array(integer({ min: 0, max: 255 })), someLengths, (values, lengths) => {
        const bytes = Uint8Array.from(values);
        const whole = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
        expect(answer(piecesOf(bytes, lengths), []).deltas.join("")).toBe(whole);
      }),
    );
  });

  it("of special tokens are no text, and do not separate the bytes around them", () => {
    const detokenizer = new Detokenizer(tokensOf(piecesOf(bytesOf("é"), [1])), []);
    expect([0, END, 1].map((id) => detokenizer.push(id).text)).toEqual(["", "", "é"]);
  });

  it("lose the first space where the tokenizer writes one, and no other", () => {
    expect(answer(words(" ", " a", " b"), [], true).deltas.join("")).toBe(" a b");
    expect(answer(words(" a"), [], true).deltas.join("")).toBe("a");
    expect(answer(words(" a"), [], false).deltas.join("")).toBe(" a");
    expect(answer(words("a", " b"), [], true).deltas.join("")).toBe("a b");
  });
});

describe("white space at the start of an answer", () => {
  const spaced = tokensOf(words("  ", "\n", " a", " b"), true);
  it.each([
    ["text", " \n a b"],
    ["message", "a b"],
    ["continuation", "  \n a b"],
  ] as const)("as a %s it begins with %j", (start, expected) => {
    const detokenizer = new Detokenizer(spaced, [], start);
    expect([0, 1, 2, 3].map((id) => detokenizer.push(id).text).join("")).toBe(expected);
  });
});

describe("stop strings", () => {
  it("end the answer before them, also across tokens", () => {
    expect(answer(words("one", " ST", "O", "P two"), ["STOP"])).toEqual({
      deltas: ["one", " ", "", ""],
      isStopped: true,
    });
  });

  it("are held back as long as they may still come, and let go when they do not", () => {
    expect(answer(words("a#", "#", "b", "##", "#c"), ["###"])).toEqual({
      deltas: ["a", "", "##b", "", ""],
      isStopped: true,
    });
    expect(answer(words("a##", "b"), ["###"]).deltas).toEqual(["a", "##b", ""]);
  });

  it("that are half there when the answer ends are text", () => {
    expect(answer(words("a##"), ["###"])).toEqual({ deltas: ["a", "##"], isStopped: false });
  });

  it("may come at the very start", () => {
    expect(answer(words("###"), ["###"])).toEqual({ deltas: [""], isStopped: true });
    expect(answer(words("###a"), ["###"])).toEqual({ deltas: [""], isStopped: true });
  });

  it("may be several: the earliest wins, the longest beginning is held", () => {
    expect(answer(words("a</s>b\n"), ["\n", "</s>"])).toEqual({ deltas: ["a"], isStopped: true });
    expect(answer(words("x<", "/", "p>", "\nq"), ["</s>", "\n"])).toEqual({
      deltas: ["x", "", "</p>", ""],
      isStopped: true,
    });
  });

  it("may overlap themselves", () => {
    expect(answer(words("a", "a", "a", "b"), ["aab"])).toEqual({
      deltas: ["", "", "a", ""],
      isStopped: true,
    });
  });

  it("below min_tokens are text, also when their end comes later", () => {
    const pieces = ["ab", "a", "b", "ab"].map((text) => new TextEncoder().encode(text));
    const detokenizer = new Detokenizer(tokensOf(pieces), ["ab"]);
    expect(detokenizer.push(0, false)).toEqual({ text: "ab", isStopped: false });
    expect(detokenizer.push(1, false)).toEqual({ text: "a", isStopped: false });
    expect(detokenizer.push(2)).toEqual({ text: "b", isStopped: false });
    expect(detokenizer.push(3)).toEqual({ text: "", isStopped: true });
  });

  it("leave out the tokens that are part of them alone", () => {
    const pieces = [" é", "t", "é###", "x"].map((text) => new TextEncoder().encode(text));
    const detokenizer = new Detokenizer(tokensOf(pieces), [], "message");
    expect(detokenizer.countTokensOf([0, 1, 2, 3], "été")).toBe(3);
    expect(detokenizer.countTokensOf([0, 1, 2, 3], "ét")).toBe(2);
    expect(detokenizer.countTokensOf([END, 1, END, 2], "t")).toBe(2);
    expect(detokenizer.countTokensOf([1, 2], "")).toBe(0);
  });

  it("that are empty are ignored", () => {
    expect(answer(words("a", "b"), [""])).toEqual({ deltas: ["a", "b", ""], isStopped: false });
  });

  it("are what a slow search over all text so far finds", () => {
    const letters = string({ unit: constantFrom("a", "b", "é", " "), maxLength: 24 });
    const someStops = array(string({ unit: constantFrom("a", "b", "é"), minLength: 1, maxLength: 4 }), {
      maxLength: 3,
    });
    assert(
      property(tuple(letters, someLengths, someStops), ([text, lengths, stops]) => {
        const pieces = piecesOf(bytesOf(text), lengths);
        const { deltas, isStopped } = answer(pieces, stops);
        expect({ text: deltas.join(""), isStopped }).toEqual(slowAnswer(pieces, stops));
        // What is not shown yet is the beginning of a stop string, or nothing.
        for (const count of deltas.slice(0, -1).keys()) {
          const shown = deltas.slice(0, count + 1).join("");
          const soFar = new TextDecoder().decode(Buffer.concat(pieces.slice(0, count + 1)), { stream: true });
          const held = soFar.slice(shown.length);
          expect(soFar.startsWith(shown)).toBe(true);
          expect(held === "" || stops.some((stop) => stop !== held && stop.startsWith(held))).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** After every token: decode all bytes so far, and look for every stop string in all of it. */
function slowAnswer(
  pieces: readonly Uint8Array[],
  stops: readonly string[],
): { text: string; isStopped: boolean } {
  let text = "";
  for (const count of pieces.keys()) {
    text = new TextDecoder().decode(Buffer.concat(pieces.slice(0, count + 1)), { stream: true });
    const found = stops.map((stop) => text.indexOf(stop)).filter((index) => index >= 0);
    if (found.length > 0) return { text: text.slice(0, Math.min(...found)), isStopped: true };
  }
  return { text, isStopped: false };
}
