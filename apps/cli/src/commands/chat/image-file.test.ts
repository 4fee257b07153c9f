import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readImageFile } from "./image-file.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "llava-image-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("gives the bytes of a file, also under a name with spaces", async () => {
  await writeFile(join(folder, "a cat.png"), "cat");
  expect(Buffer.from(await readImageFile(join(folder, "a cat.png"))).toString()).toBe("cat");
});

test("every failure is a sentence that names the path", async () => {
  const huge = join(folder, "huge.png");
  await writeFile(huge, "");
  await truncate(huge, 11 << 20);
  await expect(readImageFile(huge)).rejects.toThrow(/huge.png has 11534336 bytes/);
  await expect(readImageFile(join(folder, "no.png"))).rejects.toThrow(
    /no.png cannot be read: there is no such file/,
  );
  await expect(readImageFile(folder)).rejects.toThrow(/is not a file|is a folder/);
  await expect(readImageFile("https://example.com/cat.png")).rejects.toThrow(/is an address/);
});
