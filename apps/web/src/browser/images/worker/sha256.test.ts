import { createHash } from "node:crypto";

import { assert, property, uint8Array } from "fast-check";
import { expect, test } from "vitest";

import { sha256, sha256Hex } from "./sha256.ts";

const expected = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("our own hash is SHA-256, whatever the length", () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 100_003]) {
    const bytes = new Uint8Array(length).fill(length);
    expect(hex(sha256(bytes))).toBe(expected(bytes));
  }
  assert(property(uint8Array({ maxLength: 300 }), (bytes) => hex(sha256(bytes)) === expected(bytes)));
});

test("the browser's own gives the same", async () => {
  const bytes = Uint8Array.from([1, 2, 3]);
  expect(await sha256Hex(bytes)).toBe(expected(bytes));
});
