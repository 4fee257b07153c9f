/** Random wishes of a model that knows no JSON, held to a schema, against zod's reading of the same schema. */
import { array, assert, asyncProperty, constantFrom, integer, letrec, tuple, uniqueArray } from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { Grammars, type GrammarMatcher, type GrammarTokens } from "./grammar.ts";
import { uniformAt } from "../sampling/sampler.ts";

const END = 1;
const ENDS = new Set([END]);
/** A special token, the end, printable ASCII, and pieces that run over the borders of JSON's own. */
const VOCABULARY = [
  "",
  "",
  ...Array.from({ length: 95 }, (_, i) => String.fromCodePoint(32 + i)),
  '{"',
  '": ',
  ", ",
  '"}',
  "true",
  "null",
  "[[",
  "12",
  "-1.5e",
  "red",
  "é",
  "abc",
  "\n\n",
  "\t",
  "a\u0001",
];
const CLOSING = ['"', "}", "]"].map((text) => VOCABULARY.indexOf(text));
/** Once an answer is so long, its writer takes what closes it. */
const LONG = 40;

const encoder = new TextEncoder();
const TOKENS: GrammarTokens = {
  vocabSize: VOCABULARY.length,
  eosTokenIds: [END],
  specialIds: new Set([0, END]),
  tokenBytes: (id) => encoder.encode(VOCABULARY[id] ?? ""),
};

const grammars = new Grammars(TOKENS);
afterAll(() => grammars[Symbol.dispose]());

type Schema = Readonly<Record<string, unknown>>;

function allowed(matcher: GrammarMatcher): readonly number[] {
  const logits = new Float32Array(VOCABULARY.length);
  matcher.mask(logits, ENDS);
  return [...logits.keys()].filter((id) => logits[id] === 0);
}

/** An answer that nothing guides but the grammar; null when it does not end. */
function wander(matcher: GrammarMatcher, seed: number): string | null {
  let text = "";
  for (let position = 0; position < 400; position++) {
    const ids = allowed(matcher);
    expect(ids.length).toBeGreaterThan(0);
    const closing = position < LONG ? undefined : [END, ...CLOSING].find((id) => ids.includes(id));
    const id = closing ?? ids[Math.floor(uniformAt(seed, position) * ids.length)] ?? END;
    if (id === END) return text;
    text += VOCABULARY[id];
    matcher.accept(id);
  }
  return null;
}

async function answers(schema: Schema, count = 40): Promise<readonly string[]> {
  const texts: string[] = [];
  for (let seed = 0; seed < count; seed++) {
    using matcher = await grammars.open({ type: "json_schema", schema });
    const text = wander(matcher, seed);
    if (text !== null) texts.push(text);
  }
  return texts;
}

/** Digits without end are beyond JavaScript's numbers, about which JSON says nothing. */
function isWithinNumbers(text: string): boolean {
  return !/\d{15}|\d[eE][+-]?\d{3}/.test(text);
}

const LETTERS = ["a", "b", "c"];
const LONGEST = 4;
/** All of the letters, up to the longest. */
const WORDS = Array.from({ length: LONGEST }).reduce<readonly string[]>(
  (words) => ["", ...words.flatMap((word) => LETTERS.map((letter) => word + letter))],
  [""],
);

/** Every text of the letters up to the longest that the schema allows, as JSON. */
async function language(schema: Schema): Promise<readonly string[]> {
  const texts: string[] = [];
  const begun = ['"'];
  for (let text = begun.pop(); text !== undefined; text = begun.pop()) {
    using matcher = await grammars.open({ type: "json_schema", schema });
    for (const character of text) matcher.accept(VOCABULARY.indexOf(character));
    const next = new Set(allowed(matcher).map((id) => VOCABULARY[id]));
    if (next.has('"')) texts.push(`${text}"`);
    if (text.length <= LONGEST) for (const letter of LETTERS) if (next.has(letter)) begun.push(text + letter);
  }
  return texts.toSorted();
}

const node = {
  type: "object",
  properties: { v: { type: "boolean" }, next: { anyOf: [{ type: "null" }, { $ref: "#/$defs/node" }] } },
  required: ["v", "next"],
};

describe("a grammar makes an answer follow its JSON schema", () => {
  it.each<[string, Schema]>([
    ["a text", { type: "string" }],
    ["a text of some length", { type: "string", minLength: 2, maxLength: 5 }],
    ["a pattern", { type: "string", pattern: String.raw`^(a|bc)[x-z]{1,3}\d?$` }],
    ["an integer", { type: "integer" }],
    ["a number", { type: "number" }],
    ["one of two types", { type: ["integer", "null"] }],
    ["one of some values", { enum: ["é", 'a"b', "\\", 1, null, -0.5] }],
    ["one value", { const: 'q"uote' }],
    [
      "an object",
      {
        type: "object",
        properties: { a: { type: "integer" }, b: { type: "string", maxLength: 3 }, c: { type: "boolean" } },
        required: ["b"],
      },
    ],
    [
      "any properties of a type",
      { type: "object", properties: { a: { type: "null" } }, additionalProperties: { type: "boolean" } },
    ],
    ["a list", { type: "array", items: { type: "boolean" }, minItems: 1, maxItems: 3 }],
    [
      "an array with prefixItems",
      {
        type: "array",
        prefixItems: [{ type: "null" }],
        items: { type: "boolean" },
        minItems: 2,
        maxItems: 3,
      },
    ],
    ["one of some schemas", { anyOf: [{ type: "boolean" }, { type: "array", items: { type: "null" } }] }],
    ["a list of linked nodes", { $ref: "#/$defs/node", $defs: { node } }],
  ])("%s", async (_name, schema) => {
    const texts = (await answers(schema)).filter(isWithinNumbers);
    const reader = z.fromJSONSchema(schema);
    for (const text of texts) expect(reader.safeParse(JSON.parse(text)).error, text).toBeUndefined();
    const isOneValue = "const" in schema;
    expect(new Set(texts).size).toBeGreaterThan(isOneValue ? 0 : 1);
  });

  it("bounds of integers", async () => {
    const bounds = tuple(integer({ min: -5000, max: 5000 }), integer({ min: 0, max: 1000 }));
    await assert(
      asyncProperty(bounds, async ([minimum, width]) => {
        const schema = { type: "integer", minimum, exclusiveMaximum: minimum + width + 1 };
        for (const text of await answers(schema, 10)) {
          expect(Number(text)).toBeGreaterThanOrEqual(minimum);
          expect(Number(text)).toBeLessThanOrEqual(minimum + width);
        }
      }),
      { numRuns: 6 },
    );
  });

  it("an enum of strings, and no combination of them", async () => {
    const words = array(constantFrom(...LETTERS), { minLength: 1, maxLength: LONGEST });
    const texts = uniqueArray(
      words.map((letters) => letters.join("")),
      { minLength: 2, maxLength: 6 },
    );
    const property = asyncProperty(texts, async (values) => {
      const sorted = values.map((value) => JSON.stringify(value)).toSorted();
      expect(await language({ enum: values })).toEqual(sorted);
      expect(await language({ anyOf: values.map((value) => ({ const: value })) })).toEqual(sorted);
    });
    await assert(property, { numRuns: 10, examples: [[["ca", "c"]], [["baa", "b"]]] });
  });

  it("a pattern, as JavaScript matches it", async () => {
    const { sequence } = letrec((tie) => ({
      sequence: array(tie("part"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("")),
      part: tuple(tie("atom"), constantFrom("", "", "", "*", "+", "?", "{1,2}", "{2}", "{1,}")).map((parts) =>
        parts.join(""),
      ),
      atom: constantFrom("a", "b", "c", "[ab]", "[a-c]", String.raw`[b\w]`, "choice").chain((atom) =>
        atom === "choice" ? tie("choice") : constantFrom(atom),
      ),
      choice: array(tie("sequence"), { minLength: 1, maxLength: 3, depthIdentifier: "choice" }).map(
        (choices) => `(${choices.join("|")})`,
      ),
    }));
    const patterns = sequence.map((text) => `^${text}$`).filter((text) => text.length <= 64);
    const property = asyncProperty(patterns, async (pattern) => {
      const expression = new RegExp(pattern);
      const expected = WORDS.filter((word) => expression.test(word)).map((word) => JSON.stringify(word));
      expect(await language({ type: "string", pattern })).toEqual(expected.toSorted());
    });
    await assert(property, { numRuns: 20, examples: [["^(ab|cbb|cba)$"], ["^a*acc$"], ["^(a|ab)(c|bc)?$"]] });
  });

  it("a string without raw control characters", async () => {
    for (const schema of [
      { type: "string", minLength: 1 },
      { type: "string", pattern: "^[ -~]$" },
    ]) {
      using matcher = await grammars.open({ type: "json_schema", schema });
      matcher.accept(VOCABULARY.indexOf('"'));
      const next = allowed(matcher).map((id) => VOCABULARY[id]);
      expect(next).toEqual(expect.arrayContaining([" ", "!", "~", "A"]));
      for (const none of ['"', "\\", "\t", "\n\n", "a\u0001"]) expect(next).not.toContain(none);
    }
  });

  it("any object in one line, without a schema", async () => {
    for (let seed = 0; seed < 20; seed++) {
      using matcher = await grammars.open({ type: "json" });
      const text = wander(matcher, seed);
      if (text === null) continue;
      expect(JSON.parse(text)).toBeInstanceOf(Object);
      expect(text).not.toContain("\n");
    }
  });

  it("an answer ends where it must, not before", async () => {
    using matcher = await grammars.open({ type: "json_schema", schema: { enum: ["red"] } });
    const logits = (): Float32Array => new Float32Array(VOCABULARY.length);
    for (const piece of ['"', "red", '"']) {
      const before = logits();
      expect(matcher.mask(before, ENDS)).toBe(false);
      expect(before[END]).toBe(-Infinity);
      matcher.accept(VOCABULARY.indexOf(piece));
    }
    const after = logits();
    expect(matcher.mask(after, ENDS)).toBe(true);
    expect([...after.keys()].filter((id) => after[id] === 0)).toEqual([END]);
  });
});

describe("grammars of several answers", () => {
  it("after one schema do not disturb each other", async () => {
    const source = { type: "json_schema", schema: { enum: ["ab", "cd"] } } as const;
    using one = await grammars.open(source);
    using two = await grammars.open(source);
    for (const id of [VOCABULARY.indexOf('"'), VOCABULARY.indexOf("a")]) one.accept(id);
    expect(allowed(one)).toEqual([VOCABULARY.indexOf("b")]);
    expect(allowed(two)).toEqual([VOCABULARY.indexOf('"')]);
  });

  it("after more schemas than threads: those in use keep theirs, the next one is overloaded", async () => {
    using own = new Grammars(TOKENS);
    const source = (value: number) => ({ type: "json_schema", schema: { const: value } }) as const;
    const held = await Promise.all([1, 2, 3, 4].map((value) => own.open(source(value))));
    await expect(own.open(source(5))).rejects.toMatchObject({ code: "overloaded" });
    held[0]?.[Symbol.dispose]();
    using next = await own.open(source(5));
    expect(allowed(next)).toEqual([VOCABULARY.indexOf("5")]);
    for (const [i, matcher] of held.entries()) if (i > 0) expect(allowed(matcher)).toHaveLength(1);
  });
});

describe("errors of grammars", () => {
  it("a token that is not allowed ends this answer and no other", async () => {
    const source = { type: "json_schema", schema: { type: "boolean" } } as const;
    using wrong = await grammars.open(source);
    using right = await grammars.open(source);
    wrong.accept(VOCABULARY.indexOf("x"));
    expect(() => allowed(wrong)).toThrow(expect.objectContaining({ code: "runtime_failure" }));
    expect(allowed(right).length).toBeGreaterThan(0);
  });

  it("a schema that breaks the library is refused, and the next one is not", async () => {
    const loop = {
      $ref: "#/$defs/a",
      $defs: { a: { anyOf: [{ $ref: "#/$defs/a" }, { $ref: "#/$defs/a" }] } },
    };
    const broken = { type: "array", prefixItems: [{ type: "null" }], items: false, minItems: 5 };
    for (const schema of [broken, loop]) {
      const opened = grammars
        .open({ type: "json_schema", schema })
        .then((matcher) => allowed(matcher).length);
      const outcome = await opened.catch((error: unknown) => error);
      if (outcome !== 0) expect(outcome).toMatchObject({ code: "invalid_request", param: "response_format" });
    }
    expect(await answers({ type: "boolean" }, 3)).toHaveLength(3);
  });

  it("a model without an end token cannot end an answer in JSON", async () => {
    using endless = new Grammars({ ...TOKENS, eosTokenIds: [] });
    await expect(endless.open({ type: "json" })).rejects.toMatchObject({ param: "response_format" });
  });
});
