import * as fc from "fast-check";
import { expect, it } from "vitest";

import { decodeBase64, parseImageDataUrl } from "./base64.ts";

it("decodeBase64 reads back what Node writes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 50 }), (bytes) => {
      expect(decodeBase64(Buffer.from(bytes).toString("base64"), "f")).toEqual(bytes);
    }),
  );
});

it("decodeBase64 accepts only what encodes back to itself", () => {
  const character = fc.constantFrom("A", "Q", "g", "w", "+", "/", "9", "=", "-", " ", "\n");
  fc.assert(
    fc.property(fc.string({ unit: character, minLength: 1, maxLength: 12 }), (text) => {
      const canonical = Buffer.from(text, "base64").toString("base64") === text;
      if (canonical) expect(decodeBase64(text, "f")).toEqual(new Uint8Array(Buffer.from(text, "base64")));
      else expect(() => decodeBase64(text, "f")).toThrow(/^The field f is not base64/);
    }),
    { numRuns: 2000 },
  );
});

it("parseImageDataUrl reads the media type in upper and lower case", () => {
  expect(parseImageDataUrl("data:IMAGE/JPEG;base64,/9j/", "f").mediaType).toBe("image/jpeg");
});
