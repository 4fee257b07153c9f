import { expect, it } from "vitest";
import { grammarSchema } from "./grammar-schema.ts";

const deep = (levels: number): object =>
  levels === 0 ? { type: "null" } : { type: "array", items: deep(levels - 1) };

it.each<[object, string]>([
  [{ type: "text" }, "/type is no type of JSON's"],
  [{ type: [] }, "/type must be a list of 1 to 256"],
  [{ type: "string", format: "date" }, "/format is not supported here"],
  [{ type: "integer", multipleOf: 7 }, "/multipleOf is not supported here"],
  [{ type: "number", minimum: 0 }, "/minimum is not supported here"],
  [{ type: "integer", minimum: 0 }, "it must leave 1 to 1024 integers between its bounds"],
  [{ type: "integer", minimum: 0, maximum: 1024 }, "it must leave 1 to 1024 integers"],
  [{ type: "integer", minimum: 0.5, maximum: 2 }, "/minimum must be a whole number"],
  [{ type: "array" }, "it needs items"],
  [{ type: "array", items: {}, uniqueItems: true }, "/uniqueItems is not supported here"],
  [{ type: "array", items: { type: "null" }, maxItems: 257 }, "/maxItems must be a whole number up to 256"],
  [{ type: "object", patternProperties: {} }, "/patternProperties is not supported here"],
  [{ type: "object", properties: { 'a"b': { type: "null" } } }, "has a name with a quote"],
  [{ type: "object", properties: { a: { not: {} } } }, "/properties/a/not needs a type beside it"],
  [{ type: "object", properties: {}, required: ["a"] }, "/required names a property that is not described"],
  [{ type: "object", if: {} }, "/if is not supported here"],
  [{ oneOf: [{ type: "null" }] }, "/oneOf needs a type beside it"],
  [{ allOf: [{ type: "null" }] }, "/allOf needs a type beside it"],
  [{ anyOf: [] }, "/anyOf must be a list of 1 to 256"],
  [{ anyOf: [7] }, "/anyOf/0 is no object"],
  [{ $ref: "http://example.com/schema" }, "/$ref must be #/$defs/name"],
  [{ $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/a" } } }, "/$ref leads to a reference again"],
  [{ $ref: "#/$defs/b", $defs: { a: { type: "null" } } }, "/$ref must be #/$defs/name"],
  [deep(17), "is more than 16 deep"],
  [{ enum: ["x".repeat(1 << 14)] }, "bytes; at most 16384 are taken"],
])("%j is refused with the place and the reason", (schema, sentence) => {
  expect(() => grammarSchema({ ...schema })).toThrow(
    expect.objectContaining({
      code: "invalid_request",
      param: "response_format",
      message: expect.stringContaining(sentence),
    }),
  );
});

it.each([
  "a",
  "^a",
  "a$",
  "^a|b$",
  "^.$",
  "^[^a]$",
  String.raw`^\S$`,
  '^"$',
  String.raw`^\\$`,
  "^(?=a)a$",
  "^a\n$",
])("the pattern %j is refused", (pattern) => {
  expect(() => grammarSchema({ type: "string", pattern })).toThrow(/pattern/);
});

it.each([String.raw`^\d{4}-\d{2}$`, "^(a|b)+$", "^(?:x|[a-z0-9_]{1,8})$", "^é?$", String.raw`^a\.b$`])(
  "the pattern %j is supported",
  (pattern) => {
    const { schema, places } = grammarSchema({ type: "string", pattern });
    expect(schema).toEqual({ const: places[0]?.constant });
  },
);

it("grammarSchema writes out integers between bounds, in a copy", () => {
  const schema = { type: "array", items: { type: "integer", exclusiveMinimum: -2, maximum: 1 } };
  const { rules, ...rest } = grammarSchema(schema);
  const [place] = rest.places;
  expect(rest.schema).toEqual({ type: "array", items: { const: place?.constant } });
  for (const value of [-1, 0, 1]) expect(rules).toContain(`::= "${value}"`);
  expect(rules).not.toMatch(/"-?[23]"/);
  expect(schema.items).toHaveProperty("maximum");
});

it("the constants of rules differ from the schema's", () => {
  const schema = { type: "object", properties: { "rule0.": { const: "rule-0." } } };
  const { places } = grammarSchema(schema);
  expect(places).toHaveLength(1);
  expect(JSON.stringify(schema)).not.toContain(places[0]?.constant);
});

it("grammarSchema ignores notes", () => {
  expect(() => grammarSchema({ type: "null", title: "t", description: "d", examples: [null] })).not.toThrow();
});
