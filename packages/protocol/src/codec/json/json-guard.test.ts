import * as fc from "fast-check";
import { expect, test } from "vitest";
import { strictJsonFault, type JsonLimits } from "./json-guard.ts";

function faultOf(text: string, limits: JsonLimits): string | null {
  return strictJsonFault(new TextEncoder().encode(text), limits);
}

test("the JSON guard finds nothing in what JSON.stringify writes", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.constantFrom(undefined, 2), (value, indent) => {
      expect(faultOf(JSON.stringify(value, null, indent), { maxDepth: 16 })).toBeNull();
    }),
  );
});

test("the JSON guard: a key that is given again anywhere in an object is found, however it is written", () => {
  const names = fc.uniqueArray(fc.string({ unit: "binary", maxLength: 6 }), { minLength: 1, maxLength: 6 });
  const escaped = (name: string): string =>
    `"${Array.from({ length: name.length }, (_, at) => `\\u${name.charCodeAt(at).toString(16).padStart(4, "0")}`).join("")}"`;
  fc.assert(
    fc.property(names, fc.nat(), fc.jsonValue({ maxDepth: 1 }), (keys, which, value) => {
      const again = keys[which % keys.length] ?? "";
      const members = [...keys.map((key) => JSON.stringify(key)), escaped(again)];
      const text = `[{${members.map((key) => `${key} :${JSON.stringify(value)}`).join(" , ")}}]`;
      expect(faultOf(text, { maxDepth: 16 })).toContain("twice in one object");
    }),
  );
});

test.each([
  ['{"a":1,"a":2}', 'has the key "a" twice'],
  ['{"a" :1,"b":2,"a"\n:3}', 'has the key "a" twice'],
  ['{"a":1,"\\u0061":2}', 'has the key "a" twice'],
  ['{"":1,"":2}', 'has the key "" twice'],
  ['{"x":{"q\\"":1,"q\\"":1}}', "twice"],
  [String.raw`{"a":"\\","a":1}`, "twice"],
  ['{"__proto__":1,"__proto__":2}', "twice"],
  ["[[[[1]]]]", "is nested deeper than 3"],
  ['{"a":{"b":{"c":{}}}}', "is nested deeper than 3"],
  ['{"a":1,"b":1,"c":1,"d":1,"e":1}', "has more than 4 keys"],
])("the JSON guard refuses %j: %s", (text, fault) => {
  expect(faultOf(text, { maxDepth: 3, maxKeys: 4 })).toContain(fault);
});

test("the JSON guard refuses depth where it begins, however deep it is", () => {
  expect(faultOf("[".repeat(1_000_000), { maxDepth: 3 })).toBe("is nested deeper than 3");
});

test.each([
  ['{"a":{"__proto__":{}}}', '"__proto__", which is not taken'],
  ['{"\\u005f_proto__":1}', '"__proto__", which is not taken'],
  ['{"constructor":{"prototype":{}}}', '"prototype", which is not taken'],
])("the JSON guard refuses %j where prototypes are: %s", (text, fault) => {
  expect(faultOf(text, { maxDepth: 4, refusesPrototypes: true })).toContain(fault);
  expect(faultOf(text, { maxDepth: 4 })).toBeNull();
});

test.each([
  '{"a":{"a":"a"},"b":["a","a","{\\"b\\":1"],"c":"\\\\"}',
  '[{"a":1},{"a":2}]',
  '{"prototype":1,"constructor":1}',
  // These are no JSON, which JSON.parse refuses.
  "",
  '{"a',
  '{"a\\',
  '{"\\x":1,"\\x":1}',
  "{]}",
])("the JSON guard does not refuse %j", (text) => {
  expect(faultOf(text, { maxDepth: 3, refusesPrototypes: true })).toBeNull();
});
