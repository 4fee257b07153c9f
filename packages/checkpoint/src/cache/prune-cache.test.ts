import { readdir, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { makeFolder } from "../../test/raw-file.ts";
import { markUsed, pruneCache } from "./prune-cache.ts";

async function folderWith(files: Record<string, { bytes: number; minutesOld: number }>): Promise<string> {
  const folder = await makeFolder();
  for (const [name, { bytes, minutesOld }] of Object.entries(files)) {
    const file = path.join(folder, name);
    await writeFile(file, new Uint8Array(bytes));
    const then = new Date(Date.now() - minutesOld * 60_000);
    await utimes(file, then, then);
  }
  return folder;
}

test("what was used last stays, as much of it as there is room for", async () => {
  const folder = await folderWith({
    "old.safetensors": { bytes: 40, minutesOld: 9 },
    "middle.safetensors": { bytes: 40, minutesOld: 5 },
    "new.safetensors": { bytes: 10, minutesOld: 1 },
    "notes.txt": { bytes: 1000, minutesOld: 99 },
  });
  await pruneCache(folder, 10, 100);
  expect((await readdir(folder)).sort()).toHaveLength(4);
  await pruneCache(folder, 20, 100);
  expect((await readdir(folder)).sort()).toEqual(["middle.safetensors", "new.safetensors", "notes.txt"]);
  await pruneCache(folder, 1000, 100);
  expect(await readdir(folder)).toEqual(["notes.txt"]);
});

test("what was made long ago and is used counts as new", async () => {
  const folder = await folderWith({
    "old.safetensors": { bytes: 40, minutesOld: 9 },
    "new.safetensors": { bytes: 40, minutesOld: 1 },
  });
  await markUsed(path.join(folder, "old.safetensors"));
  await pruneCache(folder, 0, 50);
  expect((await readdir(folder)).sort()).toEqual(["old.safetensors", "old.safetensors.used"]);
  await pruneCache(folder, 50, 50);
  expect(await readdir(folder)).toEqual([]);
});

test("temporary files go when they are no longer written to", async () => {
  const folder = await folderWith({
    "a.safetensors.0.tmp": { bytes: 10, minutesOld: 30 },
    "b.safetensors.1.tmp": { bytes: 10, minutesOld: 0 },
  });
  await pruneCache(folder, 0, 100);
  expect(await readdir(folder)).toEqual(["b.safetensors.1.tmp"]);
});
