import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseStrictJson } from "./strict-json.ts";

test("reads every JSON value as JSON.parse does", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.constantFrom(undefined, 2), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      expect(parseStrictJson(text, 16)).toEqual(JSON.parse(text));
    }),
  );
});

test.each([
  ['{"a":1,"a":2}', '"a" appears twice'],
  ['{"a" :1,"b":2,"a"\n:3}', '"a" appears twice'],
  ['{"a":1,"\\u0061":2}', "appears twice"],
  ['{"":1,"":2}', '"" appears twice'],
  ['{"x":{"q\\"":1,"q\\"":1}}', "appears twice"],
  ['{"__proto__":1,"__proto__":2}', "appears twice"],
  ["[[[[1]]]]", "deeper than 3"],
  ['{"a":{"b":{"c":{}}}}', "deeper than 3"],
  ["[".repeat(1_000_000), "deeper than 3"],
  ['{"a', ""],
  ['{"a\\', ""],
  ["{]}", ""],
  ["", ""],
  ["\uFEFF{}", ""],
])("refuses %j", (text, reason) => {
  expect(() => parseStrictJson(text, 3)).toThrow(SyntaxError);
  expect(() => parseStrictJson(text, 3)).toThrow(reason);
});

test("equal names in different objects, equal values and brackets inside strings are no repetition", () => {
  const text = '{"a":{"a":"a"},"b":["a","a","{\\"b\\":1"],"c":"\\\\"}';
  expect(parseStrictJson(text, 3)).toEqual({ a: { a: "a" }, b: ["a", "a", '{"b":1'], c: "\\" });
});
