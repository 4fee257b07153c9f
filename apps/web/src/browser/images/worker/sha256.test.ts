import { createHash } from "node:crypto";

import { assert, asyncProperty, uint8Array } from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";

import { sha256Hex } from "./sha256.ts";

const expected = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

afterEach(() => void vi.unstubAllGlobals());

describe.each([
  ["with crypto.subtle", true],
  ["without crypto.subtle, as on plain HTTP", false],
])("SHA-256 %s", (_name, hasSubtle) => {
  test("whatever the length", async () => {
    if (!hasSubtle) vi.stubGlobal("crypto", {});
    for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 100_003]) {
      const bytes = new Uint8Array(length).fill(length);
      expect(await sha256Hex(bytes)).toBe(expected(bytes));
    }
    await assert(
      asyncProperty(uint8Array({ maxLength: 300 }), async (bytes) => {
        const copy = Uint8Array.from(bytes);
        return (await sha256Hex(copy)) === expected(copy);
      }),
    );
  });
});
