import * as fc from "fast-check";
import { expect, it, test } from "vitest";
import { JsonScanner, SEARCH_WORK, type JsonToken } from "./json-scanner.ts";

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** All tokens of a text, strings and keys with their texts. */
function tokensOf(text: string, maxWork?: number): readonly string[] {
  const scanner = new JsonScanner(bytesOf(text), 0, maxWork);
  const tokens: string[] = [];
  let token: JsonToken;
  do {
    token = scanner.next();
    const isText = token === "key" || token === "string";
    tokens.push(isText ? `${token} ${JSON.stringify(scanner.text())}` : token);
  } while (token !== "end" && token !== "unfinished" && token !== "overspent");
  return tokens;
}

/** The same, of a value that was never text. */
function expectedTokens(value: unknown): readonly string[] {
  if (typeof value === "string") return [`string ${JSON.stringify(value)}`];
  if (Array.isArray(value)) return ["list", ...value.flatMap(expectedTokens), "close"];
  if (typeof value !== "object" || value === null) return [];
  const members = Object.entries(value).flatMap(([key, member]) => [
    `key ${JSON.stringify(key)}`,
    ...expectedTokens(member),
  ]);
  return ["object", ...members, "close"];
}

test("the JSON scanner finds the brackets, keys and strings of what JSON.stringify writes", () => {
  const strings = fc.string({ unit: "binary" });
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      strings,
      fc.double(),
      fc.constantFrom(null, true, "\uFEFF", '\\"', "x".repeat(60), "é".repeat(30)),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(strings, tie("value"), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(value, fc.constantFrom(undefined, 1, "\t\t"), (any, indent) => {
      const text = JSON.stringify(any, null, indent);
      expect(tokensOf(text)).toEqual([...expectedTokens(JSON.parse(text)), "end"]);
    }),
  );
});

test("the JSON scanner finds strings and keys by a search as it does in order", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
      const text = JSON.stringify(value);
      const scanner = new JsonScanner(bytesOf(text));
      const found: string[] = [];
      for (let token = scanner.nextString(); token !== "end"; token = scanner.nextString())
        found.push(`${token} ${JSON.stringify(scanner.text())}`);
      expect(found).toEqual(tokensOf(text).filter((token) => /^(key|string) /.test(token)));
    }),
  );
});

it.each([
  ['{"a', ["object", "unfinished"]],
  ['{"a\\"', ["object", "unfinished"]],
  [`["${"x".repeat(100)}`, ["list", "unfinished"]],
  ['"\\x"', ["string null", "end"]],
  ['"a\nb"', ["string null", "end"]],
  ['"a" \r\n\t:', ['key "a"', "end"]],
  ["]}", ["close", "close", "end"]],
])("scans %j, which is no JSON, to its end", (text, tokens) => {
  expect(tokensOf(text)).toEqual(tokens);
});

it("counts the levels that are open, and finds where a key's value begins", () => {
  const scanner = new JsonScanner(bytesOf('{"a" : {"b":[1]}}'));
  scanner.next();
  scanner.next();
  expect([scanner.depth, scanner.start, scanner.end, scanner.skipSpace()]).toEqual([1, 2, 3, 7]);
  scanner.next();
  scanner.next();
  scanner.next();
  expect(scanner.depth).toBe(3);
});

it.each([
  ["numbers", `[${"1,".repeat(100)}`],
  ["quotes", `["${'\\"'.repeat(100)}"]`],
  ["backslashes", `["${"\\".repeat(200)}"]`],
  ["spaces behind a string", `["a"${" ".repeat(200)}`],
])("stops at its limit of work in a text of %s", (_name, text) => {
  expect(tokensOf(text, 4 * SEARCH_WORK).at(-1)).toBe("overspent");
  expect(tokensOf(text).at(-1)).not.toBe("overspent");
});
