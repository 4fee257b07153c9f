import { readdir, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { makeFolder } from "../../test/raw-file.ts";
import { tryLock } from "./file-lock.ts";

test("one has it, the next gets it when it is given back", async () => {
  const folder = await makeFolder();
  const file = path.join(folder, "lock");
  const first = await tryLock(file);
  expect(first).not.toBeNull();
  expect(await tryLock(file)).toBeNull();
  await first?.[Symbol.asyncDispose]();
  expect(await readdir(folder)).toEqual([]);
  await using second = await tryLock(file);
  expect(second).not.toBeNull();
});

test("of many at once one gets it", async () => {
  const file = path.join(await makeFolder(), "lock");
  const all = await Promise.all(Array.from({ length: 20 }, () => tryLock(file)));
  expect(all.filter((lock) => lock !== null)).toHaveLength(1);
});

test("a lock that is no longer touched is taken over, and its late owner takes nothing away", async () => {
  const folder = await makeFolder();
  const file = path.join(folder, "lock");
  const dead = await tryLock(file);
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(file, longAgo, longAgo);
  const next = await tryLock(file);
  expect(next).not.toBeNull();
  await dead?.[Symbol.asyncDispose]();
  expect(await readdir(folder)).toEqual(["lock"]);
  await next?.[Symbol.asyncDispose]();
  expect(await readdir(folder)).toEqual([]);
});

test("a folder where no file can be made is an error", async () => {
  const folder = await makeFolder();
  await writeFile(path.join(folder, "file"), "");
  await expect(tryLock(path.join(folder, "file", "lock"))).rejects.toThrow();
});
