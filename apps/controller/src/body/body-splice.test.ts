import * as fc from "fast-check";
import { expect, it } from "vitest";
import { spliceField } from "./body-splice.ts";

it("spliceField adds what JSON.parse then finds, and changes nothing else", () => {
  const spacing = fc.constantFrom(0, 1, "\t");
  const around = fc.constantFrom("", " ", "\r\n", "\t \n");
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })),
      fc.string(),
      fc.jsonValue({ maxDepth: 2 }),
      spacing,
      around,
      (object, name, value, space, spaces) => {
        fc.pre(name !== "__proto__" && !Object.hasOwn(object, "__proto__"));
        const body = Buffer.from(spaces + JSON.stringify(object, null, space) + spaces);
        const pieces = spliceField(body, name, JSON.stringify(value));
        const spliced: unknown = JSON.parse(Buffer.concat(pieces).toString("utf8"));
        const whole: unknown = JSON.parse(JSON.stringify({ ...object, [name]: value }));
        expect(spliced).toEqual(whole);
      },
    ),
  );
});

it.each([
  ["{}", '{"a":1}'],
  ["{ \n}", '{ \n"a":1}'],
  ['{"b":{}}\n', '{"b":{},"a":1}\n'],
  ['{"a":"}"}', '{"a":"}","a":1}'],
])("spliceField makes %j to %j", (body, spliced) => {
  expect(Buffer.concat(spliceField(Buffer.from(body), "a", "1")).toString()).toBe(spliced);
});

it("spliceField copies no byte of the body", () => {
  const body = Buffer.from('{"image":"xxxx"} ');
  const [before, , after] = spliceField(body, "a", "1");
  body.fill("y");
  expect([before, after].map(String)).toEqual(["y".repeat(15), "yy"]);
});

it.each(["", "  ", "[1]", '"}"', "{}x"])("spliceField refuses %j", (body) => {
  expect(() => spliceField(Buffer.from(body), "a", "1")).toThrow("must be a JSON object");
});
