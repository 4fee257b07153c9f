import { LlavaError } from "@llava/protocol";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseJson } from "./parse-json.ts";

function parse(text: string): unknown {
  return parseJson(Buffer.from(text));
}

test("parseJson reads any JSON with each key once as JSON.parse does", () => {
  const value = fc.letrec((tie) => ({
    leaf: fc.oneof(
      fc.string({ unit: "binary" }),
      fc.double({ noNaN: true }),
      fc.boolean(),
      fc.constant(null),
    ),
    value: fc.oneof(
      { maxDepth: 5 },
      tie("leaf"),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(
        fc.string().filter((key) => key !== "__proto__" && key !== "prototype"),
        tie("value"),
        {
          maxKeys: 4,
        },
      ),
    ),
  })).value;
  fc.assert(
    fc.property(value, fc.constantFrom(0, 2), (wanted, indent) => {
      const text = JSON.stringify(wanted, null, indent);
      expect(parse(text)).toEqual(JSON.parse(text));
    }),
  );
});

test("parseJson reads any bytes or refuses them as an invalid request", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.constantFrom("{", "}", "[", "]", '"', ":", ",", "\\", "a", "1")),
      (bytes, signs) => {
        for (const body of [Buffer.from(bytes), Buffer.from(signs.join(""))]) {
          try {
            parseJson(body);
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(LlavaError);
            expect(thrown).toMatchObject({ code: "invalid_request" });
          }
        }
      },
    ),
  );
});

describe("parseJson refuses", () => {
  test.each([
    ["depth", "[".repeat(33) + "]".repeat(33), "nested deeper than 32"],
    ["depth that never ends", '{"a":'.repeat(20_000), "nested deeper than 32"],
    [
      "keys",
      JSON.stringify(Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [i, 0]))),
      "more than 10000 keys",
    ],
    ["a key twice", '{"model":"a","model":"b"}', 'the key "model" twice'],
    ["a key twice, once with an escape", '{"model":"a","mod\\u0065l":"b"}', 'the key "model" twice'],
    ["a key twice further in", '{"a":[{"b":1,"c":{},"b":2}]}', 'the key "b" twice'],
    ["a key twice after a text that ends in a backslash", String.raw`{"a":"\\","a":1}`, 'the key "a" twice'],
    ["a key twice after a text with a quote", String.raw`{"a":"\\\"","a":1}`, 'the key "a" twice'],
    ["__proto__", '{"a":{"__proto__":{"isAdmin":true}}}', '"__proto__"'],
    ["__proto__ with an escape", '{"\\u005f_proto__":1}', '"__proto__"'],
    ["constructor.prototype", '{"constructor":{"prototype":{}}}', '"prototype"'],
    ["what is no JSON", "{nope}", "not JSON"],
    ["a string without an end", '{"a":"b', "not JSON"],
    ["nothing", "", "not JSON"],
  ])("%s", (_name, text, sentence) => {
    expect(() => parse(text)).toThrow(sentence);
  });
});

describe("parseJson takes", () => {
  test.each([
    ["32 levels", "[".repeat(32) + "]".repeat(32)],
    ["the same key in two objects", '[{"a":1},{"a":2}]'],
    ["brackets, colons and quotes in strings", '{"a":"[{\\"a\\":[[","b":"\\\\"}'],
    ["a text that is also a key", '{"a":"a","b":["a","a"]}'],
    ["the word prototype elsewhere", '{"prototype":1}'],
  ])("%s", (_name, text) => {
    expect(parse(text)).toEqual(JSON.parse(text));
  });
});
