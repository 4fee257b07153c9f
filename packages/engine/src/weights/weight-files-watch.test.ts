import { appendFile, mkdtemp, rename, rm, unlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { WeightFilesWatch } from "./weight-files-watch.ts";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "llava-files-"));
  file = path.join(folder, "model.safetensors");
  await writeFile(file, "weights");
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

const refusal = expect.objectContaining({
  code: "runtime_failure",
  message: expect.stringMatching(/model\.safetensors has been written into .* Restart/),
});

it("refuses weights that were written into, again and again", async () => {
  const files = await WeightFilesWatch.of([file, file]);
  await files.requireUnchanged(0);
  await appendFile(file, "!");
  await expect(files.requireUnchanged(2000)).rejects.toEqual(refusal);
  await expect(files.requireUnchanged(2001)).rejects.toEqual(refusal);
});

it("refuses weights of the same size that are others", async () => {
  const files = await WeightFilesWatch.of([file]);
  await writeFile(file, "weighed");
  await utimes(file, 1, 1);
  await expect(files.requireUnchanged()).rejects.toEqual(refusal);
});

it("lets a file be replaced, or removed: what is mapped lives on", async () => {
  const files = await WeightFilesWatch.of([file]);
  await writeFile(path.join(folder, "new"), "other weights");
  await rename(path.join(folder, "new"), file);
  await files.requireUnchanged(0);
  await unlink(file);
  await files.requireUnchanged(2000);
});

it("looks once a second, at its files only", async () => {
  await writeFile(path.join(folder, "README.md"), "model card");
  const files = await WeightFilesWatch.of([file]);
  await appendFile(path.join(folder, "README.md"), "!");
  await files.requireUnchanged(0);
  await appendFile(file, "!");
  await files.requireUnchanged(999);
  await expect(files.requireUnchanged(1000)).rejects.toEqual(refusal);
});
