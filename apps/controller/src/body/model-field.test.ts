import * as fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { readRelayFields } from "./model-field.ts";

function findModel(body: Buffer): string {
  return readRelayFields(body).model;
}

it("readRelayFields finds the model that JSON.parse finds", () => {
  const key = fc.constantFrom("model", "mode\\", "a", '"', "modelx");
  const value = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom("model", '"model":"x"', "\\", "é🎈"));
  const spacing = fc.constantFrom(0, 1, 3);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(key, value), { maxLength: 6 }),
      fc.string(),
      spacing,
      (fields, name, space) => {
        const object = Object.fromEntries([...fields.filter(([key]) => key !== "model"), ["model", name]]);
        const shuffled = Object.fromEntries(Object.entries(object).toReversed());
        expect(findModel(Buffer.from(JSON.stringify(object, null, space)))).toBe(name);
        expect(findModel(Buffer.from(JSON.stringify({ messages: [object], ...shuffled }, null, space)))).toBe(
          name,
        );
      },
    ),
  );
});

it.each([
  ['{"model":"a","model":"b"}', "b"],
  ['{"mod\\u0065l":"\\u00e9"}', "é"],
  ['\r\n {"x":{"model":"inner"},"model" : "outer"}', "outer"],
])("readRelayFields reads the model of %s", (body, name) => {
  expect(findModel(Buffer.from(body))).toBe(name);
});

it.each([
  ["", "must be a JSON object"],
  ['["model","x"]', "must be a JSON object"],
  ['{"x":{"model":"inner"}}', "is missing"],
  ['{"x":"model"}', "is missing"],
  ['{"model":null}', "must be a model's name"],
  ['{"model":{"a":"b"}}', "must be a model's name"],
  ['{"model":"a', "ends inside a text"],
  ['{"model":"\\', "ends inside a text"],
  [`{"model":"${"x".repeat(2000)}"}`, "must be a model's name"],
])("readRelayFields refuses %s", (body, sentence) => {
  expect(() => findModel(Buffer.from(body))).toThrow(sentence);
});

it.each([
  ['{"model":"m","stream":true}', true],
  ['{"stream": true, "model":"m", "stream":false}', false],
  ['{"model":"m","x":{"stream":true}}', false],
  ['{"model":"stream","stream":"true"}', false],
])("readRelayFields finds whether %s asks for a stream", (body, isStream) => {
  expect(readRelayFields(Buffer.from(body)).isStream).toBe(isStream);
});

it("refuses the field that only controllers may use, and only as a field", () => {
  const refused = ['{"model":"m","llava_resume":{}}', '{"llava\\u005fresume":1,"model":"m"}'];
  for (const body of refused) {
    expect(() => readRelayFields(Buffer.from(body))).toThrow("llava_resume is for controllers");
  }
  const words = { messages: [{ content: "llava_resume", llava_resume: 1 }], model: "llava_resume" };
  expect(findModel(Buffer.from(JSON.stringify(words)))).toBe("llava_resume");
});

it.each([
  ['{"model":"m","messages": [1]}', 25],
  ['{"prompt":"x","model":"m"}', 10],
  ['{"model":"m","x":{"prompt":1}}', null],
])("readRelayFields finds where the prompt of %s begins", (body, start) => {
  expect(readRelayFields(Buffer.from(body)).promptStart).toBe(start);
});

/** As large as a body may be. */
const LARGE = 32 << 20;

function filled(start: string, piece: string, end: string): Buffer {
  const body = Buffer.alloc(LARGE, piece);
  body.write(start);
  body.write(end, LARGE - end.length);
  return body;
}

describe("a hostile body", () => {
  const searches = vi.spyOn(Buffer.prototype, "indexOf");
  const parses = vi.spyOn(JSON, "parse");
  afterEach(() => vi.clearAllMocks());

  it.each([
    ["of texts", filled('{"a":["', '","', '"],"model":"m"}')],
    ["of keys", filled('{"model":"m","a":1', ',"b":1', "}")],
    ["of keys in it", filled('{"model":"m","x":{"a":1', ',"b":1', "}}")],
    ["of long keys", filled('{"model":"m","a":1', `,"${"\\u0061".repeat(12)}":1`, "}")],
    ["of quotes in one text", filled('{"model":"m","a":"', '\\"', ' "}')],
    ["of backslashes", filled('{"model":"m","a":"', "\\", ' "}')],
    ["of backslashes before a quote", filled('{"model":"m","a":"', "\\", '\\\\" "}')],
    ["of lists", filled('{"model":"m","a":', "[", "}")],
    ["of numbers", filled('{"model":"m","a":[0', ",1", "]}")],
    ["of spaces at its start", filled(" ", " ", '{"model":"m"}')],
    ["of spaces before a colon", filled('{"model":"m","a"', " ", ":1}")],
  ])("%s is refused or read with little work", (_name, body) => {
    let sentence = "";
    try {
      readRelayFields(body);
    } catch (thrown) {
      sentence = String(thrown);
    }
    expect(sentence === "" || /too many|not JSON/.test(sentence)).toBe(true);
    expect(searches.mock.calls.length).toBeLessThan(300_000);
    expect(parses.mock.calls.length).toBeLessThan(20_000);
  });

  it("of a million keys is refused before all are seen", () => {
    const keys = Array.from({ length: 1_000_000 }, (_, i) => `"k${i}":1`).join(",");
    expect(() => readRelayFields(Buffer.from(`{${keys},"model":"m"}`))).toThrow("too many keys");
  });
});

it("readRelayFields reads bodies that are large for a reason", () => {
  const image = "A".repeat(20 << 20);
  const asked = {
    prompt: '"'.repeat(131_072),
    images: [image],
    tokens: Array.from(Array(100_000).keys()),
  };
  expect(findModel(Buffer.from(JSON.stringify({ ...asked, model: "m" })))).toBe("m");
});
