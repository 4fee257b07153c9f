import { createHash, randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { BlobStore } from "./blob-store.ts";

function keyOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

async function put(store: BlobStore, bytes: Buffer): Promise<string> {
  await store.put(keyOf(bytes), bytes);
  return keyOf(bytes);
}

test("blob store: returns what was put, and keeps it once", async () => {
  const store = new BlobStore();
  const bytes = randomBytes(3_000_000);
  expect(await store.put(keyOf(bytes), bytes)).toBe(true);
  expect(await store.put(keyOf(bytes), bytes)).toBe(false);
  expect(store.get(keyOf(bytes))?.equals(bytes)).toBe(true);
  expect(store.heldBytes).toBe(3_000_000 + 1024);
  expect(store.get(keyOf(Buffer.from("other")))).toBeNull();
});

test("blob store: keeps nothing under another hash, nothing empty, nothing too large", async () => {
  const store = new BlobStore({ blobBytes: 100 });
  const bytes = Buffer.from("file");
  const other = keyOf(Buffer.from("other"));
  await expect(store.put(other, bytes)).rejects.toMatchObject({ code: "invalid_request" });
  await expect(store.put(keyOf(Buffer.alloc(0)), Buffer.alloc(0))).rejects.toMatchObject({
    code: "invalid_request",
  });
  const large = Buffer.alloc(101);
  await expect(store.put(keyOf(large), large)).rejects.toMatchObject({ code: "request_too_large" });
  expect(store.keys).toEqual([]);
});

test("blob store: drops the least recently used blob", async () => {
  const store = new BlobStore({ totalBytes: 3 * (1024 + 100) });
  const [a, b, c] = [
    await put(store, randomBytes(100)),
    await put(store, randomBytes(100)),
    await put(store, randomBytes(100)),
  ];
  store.get(a);
  const d = await put(store, randomBytes(100));
  expect(store.keys).toEqual([d, a, c]);
  expect(store.has(b)).toBe(false);
});

test("blob store: never holds more than its limit", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 2000 }), { maxLength: 30 }), async (sizes) => {
      const store = new BlobStore({ totalBytes: 10_000, blobBytes: 2000 });
      for (const [index, size] of sizes.entries()) {
        const key = await put(store, Buffer.alloc(size, index));
        expect(store.keys[0]).toBe(key);
        expect(store.heldBytes).toBeLessThanOrEqual(10_000);
      }
      const held = store.keys.map((key) => (store.get(key)?.length ?? 0) + 1024);
      expect(held.reduce((sum, bytes) => sum + bytes, 0)).toBe(store.heldBytes);
    }),
  );
});
