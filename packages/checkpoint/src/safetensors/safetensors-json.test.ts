import { expect, test } from "vitest";
import { parseFileJson } from "./safetensors-json.ts";

const PATH = "a.safetensors";

test.each([
  ["a key twice", '{"a":1,"a":2}', 'has the key "a" twice'],
  ["__proto__ twice", '{"__proto__":1,"__proto__":2}', 'has the key "__proto__" twice'],
  ["depth", "[[[[[1]]]]]", "is nested deeper than 4"],
  ["depth that never ends", "[".repeat(1_000_000), "is nested deeper than 4"],
  ["a string that never ends", '{"a', "is not the JSON it should be"],
  ["the wrong bracket", "{]}", "is not the JSON it should be"],
  ["nothing", "", "is not the JSON it should be"],
  ["a byte order mark", "\uFEFF{}", "is not the JSON it should be"],
])("refuses %s", (_name, text, reason) => {
  expect(() => parseFileJson(PATH, "its header", text)).toThrow(
    expect.objectContaining({
      code: "invalid_checkpoint",
      message: expect.stringContaining(`its header ${reason}`),
    }),
  );
});

test("a tensor may have any name, `__proto__` too, which is then its own", () => {
  const text = '{"__proto__":{"a":1},"constructor":{"prototype":2}}';
  expect(Object.keys(Object(parseFileJson(PATH, "its header", text)))).toEqual(["__proto__", "constructor"]);
});
