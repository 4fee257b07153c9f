/** The cache of quantized weights, with true files, threads and processes. */
import { execFile } from "node:child_process";
import { readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { LlavaError } from "@llava/protocol";
import { describe, expect, test } from "vitest";
import { Checkpoint } from "../src/source/checkpoint.ts";
import { dequantize } from "../src/quantize/quantization.ts";
import type { QuantizationPlan } from "../src/quantize/quantized-layout.ts";
import { openQuantized } from "../src/quantize/quantized-weights.ts";
import { writeSafetensors } from "../src/safetensors/safetensors-writer.ts";
import { makeFolder, SINGLE } from "./raw-file.ts";

const WRITTEN = new Date("2024-05-06T07:08:09.010Z");
const COLUMNS = 100;
const ROWS = 700;
const PLAN: QuantizationPlan = {
  stored: ["norm", "table"],
  blocks: new Map([
    ["half", { bits: 4, blockSize: 32 }],
    ["table", { bits: 8, blockSize: 32 }],
  ]),
};

const noise = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => (Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453) % 1);

async function makeModel(seed = 1): Promise<{ folder: string; cache: string }> {
  const folder = await makeFolder();
  await writeSafetensors(path.join(folder, SINGLE), [
    { name: "norm", dtype: "F32", shape: [COLUMNS], data: noise(COLUMNS, seed) },
    { name: "half", dtype: "F16", shape: [ROWS, COLUMNS], data: noise(ROWS * COLUMNS, seed + 1) },
    { name: "table", dtype: "BF16", shape: [ROWS, COLUMNS], data: noise(ROWS * COLUMNS, seed + 2) },
  ]);
  await utimes(path.join(folder, SINGLE), WRITTEN, WRITTEN);
  return { folder, cache: path.join(await makeFolder(), "deep", "cache") };
}

async function open(folder: string, cache: string, signal?: AbortSignal) {
  const phases = new Set<string>();
  const weights = await openQuantized(await Checkpoint.open(folder), PLAN, {
    cache,
    onProgress: ({ phase }) => phases.add(phase),
    signal,
  });
  return { weights, phases: [...phases] };
}

async function bytesOf(entry: { file: string; offset: number; length: number }) {
  const bytes = await readFile(entry.file);
  // A copy at the start of a buffer of its own, for views of any element.
  return Uint8Array.from(bytes.subarray(entry.offset, entry.offset + entry.length));
}

const listed = async (cache: string): Promise<string[]> =>
  (await readdir(cache)).filter((name) => !name.endsWith(".used"));

const onlyFile = async (cache: string): Promise<string> => {
  const [name = "", ...rest] = await listed(cache);
  expect(rest).toEqual([]);
  return path.join(cache, name);
};

test("the file holds the blocks of the matrices, the rest as it was, and is a checkpoint like any other", async () => {
  const { folder, cache } = await makeModel();
  const { weights, phases } = await open(folder, cache);
  expect(phases).toEqual(["quantizing"]);
  const source = await Checkpoint.open(folder);
  for (const [name, format] of PLAN.blocks) {
    const linear = weights.blocks(name);
    if (!linear) throw new Error(`${name} is missing`);
    expect(linear).toMatchObject(format);
    expect(linear.data.shape).toEqual([ROWS, 4, format.bits * 4]);
    expect(linear.scales.shape).toEqual([ROWS * 4]);
    const scales = new Float32Array((await bytesOf(linear.scales)).buffer);
    const back = dequantize(await bytesOf(linear.data), scales, COLUMNS, format);
    const values = await source.read(name);
    const error = values.map((value, i) => Math.abs(value - (back[i] ?? 0)));
    expect(Math.max(...error)).toBeLessThanOrEqual(2 ** (1 - format.bits));
  }
  const table = weights.get("table");
  expect(await bytesOf(table)).toEqual(
    Uint8Array.from(
      (await readFile(path.join(folder, SINGLE))).subarray(
        source.get("table").offset,
        source.get("table").offset + source.get("table").length,
      ),
    ),
  );
  expect(weights.blocks("norm")).toBeUndefined();
  expect(() => weights.get("half")).toThrow("without half");
  const file = await onlyFile(cache);
  const made = await Checkpoint.open(cache, { file: path.basename(file) });
  expect(await made.read("norm")).toEqual(await source.read("norm"));
});

test("the second time it is only checked, also for a copy of the model that kept its times", async () => {
  const { folder, cache } = await makeModel();
  const first = await open(folder, cache);
  const second = await open(folder, cache);
  expect(second.phases).toEqual(["checking"]);
  expect(second.weights.get("norm")).toEqual(first.weights.get("norm"));
  const copy = await makeFolder({ [SINGLE]: await readFile(path.join(folder, SINGLE)) });
  await utimes(path.join(copy, SINGLE), WRITTEN, WRITTEN);
  expect((await open(copy, cache)).phases).toEqual(["checking"]);
});

test("a model that was written anew, and another format, are other files", async () => {
  const { folder, cache } = await makeModel();
  await open(folder, cache);
  const later = new Date(Date.now() + 5_000);
  await utimes(path.join(folder, SINGLE), later, later);
  expect((await open(folder, cache)).phases).toEqual(["quantizing"]);
  const wider: QuantizationPlan = { ...PLAN, blocks: new Map([["half", { bits: 4, blockSize: 64 }]]) };
  await openQuantized(await Checkpoint.open(folder), wider, { cache });
  expect(await listed(cache)).toHaveLength(3);
});

test("a second folder that is written anew, or comes first, is another file", async () => {
  const { folder, cache } = await makeModel();
  const { folder: second } = await makeModel(5);
  await utimes(path.join(second, SINGLE), 1, 1);
  const openBoth = async (...folders: string[]): Promise<string> => {
    const checkpoint = await Checkpoint.compose(folders.map((of) => ({ folder: of })));
    return (await openQuantized(checkpoint, PLAN, { cache })).file;
  };
  const made = await openBoth(folder, second);
  expect(await openBoth(folder, second)).toBe(made);
  const swapped = await openBoth(second, folder);
  const later = new Date(Date.now() + 5_000);
  await utimes(path.join(second, SINGLE), later, later);
  expect(new Set([made, swapped, await openBoth(folder, second)]).size).toBe(3);
});

test("the same files whose names map otherwise are another file", async () => {
  const folder = await makeFolder();
  const matrix = { dtype: "F32" as const, shape: [4, 32] };
  await writeSafetensors(path.join(folder, SINGLE), [
    { ...matrix, name: "a", data: noise(128, 1) },
    { ...matrix, name: "b", data: noise(128, 2) },
  ]);
  const plan: QuantizationPlan = { stored: [], blocks: new Map([["w", { bits: 4, blockSize: 32 }]]) };
  const cache = await makeFolder();
  const files = ["a", "b"].map(async (chosen) => {
    const tensorName = (name: string): string | undefined => (name === chosen ? "w" : undefined);
    const checkpoint = await Checkpoint.open(folder, { tensorName });
    return (await openQuantized(checkpoint, plan, { cache })).file;
  });
  expect(new Set(await Promise.all(files)).size).toBe(2);
});

describe("a damaged file is made again, and the progress has the reason", () => {
  test.each([
    ["a bit of the data", (bytes: Buffer) => void (bytes[bytes.length - 9]! ^= 4)],
    ["a bit of the header", (bytes: Buffer) => void (bytes[20]! ^= 1)],
    ["a checksum", (bytes: Buffer) => void (bytes[bytes.indexOf("checksums") + 14]! ^= 1)],
  ])("%s", async (_, spoil) => {
    const { folder, cache } = await makeModel();
    await open(folder, cache);
    const file = await onlyFile(cache);
    const good = await readFile(file);
    const bad = Buffer.from(good);
    spoil(bad);
    await writeFile(file, bad);
    const { phases } = await open(folder, cache);
    expect(phases).toContain("the cached weights are damaged and are made again");
    expect(phases).toContain("quantizing");
    expect(Buffer.compare(await readFile(await onlyFile(cache)), good)).toBe(0);
  });

  test("half of it", async () => {
    const { folder, cache } = await makeModel();
    await open(folder, cache);
    const file = await onlyFile(cache);
    await writeFile(file, (await readFile(file)).subarray(0, 5_000));
    expect((await open(folder, cache)).phases).toContain("quantizing");
    expect((await open(folder, cache)).phases).toEqual(["checking"]);
  });
});

test("what a crash left behind is removed", async () => {
  const { folder, cache } = await makeModel();
  await open(folder, cache);
  const file = await onlyFile(cache);
  await rm(file);
  await writeFile(`${file}.123456.tmp`, "half");
  await writeFile(`${file}.lock`, "of a process that is no more");
  const longAgo = new Date(Date.now() - 3_600_000);
  for (const left of [`${file}.123456.tmp`, `${file}.lock`]) await utimes(left, longAgo, longAgo);
  expect((await open(folder, cache)).phases).toEqual(["quantizing"]);
  expect(await listed(cache)).toEqual([path.basename(file)]);
});

test("two processes at once make one file, once", async () => {
  const { folder, cache } = await makeModel();
  const program = path.join(import.meta.dirname, "quantize-once.ts");
  const start = async () => await promisify(execFile)(process.execPath, [program, folder, cache]);
  const outputs = (await Promise.all([start(), start(), start()])).map(({ stdout }) => stdout.split("\n"));
  expect(outputs.filter((phases) => phases.includes("quantizing"))).toHaveLength(1);
  expect(outputs.every((phases) => phases.includes("half 4"))).toBe(true);
  await onlyFile(cache);
});

test("giving up leaves nothing behind and lets the next one in", async () => {
  const { folder, cache } = await makeModel();
  const stop = new AbortController();
  const given = openQuantized(await Checkpoint.open(folder), PLAN, {
    cache,
    signal: stop.signal,
    onProgress: () => stop.abort(new Error("enough")),
  });
  await expect(given).rejects.toThrow("enough");
  expect(await readdir(cache)).toEqual([]);
  expect((await open(folder, cache)).phases).toEqual(["quantizing"]);
});

test("waiting for another process ends when its signal aborts", async () => {
  const { folder, cache } = await makeModel();
  await open(folder, cache);
  const file = await onlyFile(cache);
  await rm(file);
  await writeFile(`${file}.lock`, "of a process that works");
  const stop = new AbortController();
  const waiting = openQuantized(await Checkpoint.open(folder), PLAN, {
    cache,
    signal: stop.signal,
    onProgress: ({ phase }) => phase.startsWith("waiting") && stop.abort(new Error("enough")),
  });
  await expect(waiting).rejects.toThrow();
  expect(stop.signal.aborted).toBe(true);
});

describe("refusals", () => {
  test("a weight that is no number", async () => {
    const folder = await makeFolder();
    const data = new Float32Array(ROWS * COLUMNS).fill(0.5);
    data[777] = Number.NaN;
    await writeSafetensors(path.join(folder, SINGLE), [
      { name: "norm", dtype: "F32", shape: [1], data: new Float32Array(1) },
      { name: "table", dtype: "F32", shape: [ROWS, COLUMNS], data: new Float32Array(ROWS * COLUMNS) },
      { name: "half", dtype: "F32", shape: [ROWS, COLUMNS], data },
    ]);
    const cache = await makeFolder();
    const error = await open(folder, cache).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LlavaError);
    expect(error).toMatchObject({
      code: "invalid_checkpoint",
      message: expect.stringContaining("not finite"),
    });
    expect(await readdir(cache)).toEqual([]);
  });

  test("a model that is replaced meanwhile", async () => {
    const { folder, cache } = await makeModel();
    const checkpoint = await Checkpoint.open(folder);
    const later = new Date(Date.now() + 5_000);
    await utimes(path.join(folder, SINGLE), later, later);
    await expect(openQuantized(checkpoint, PLAN, { cache })).rejects.toMatchObject({
      code: "invalid_checkpoint",
      message: expect.stringContaining("since the model was opened"),
    });
    expect(await readdir(cache)).toEqual([]);
  });

  test("a vector where a matrix should be", async () => {
    const { folder, cache } = await makeModel();
    const plan: QuantizationPlan = { stored: [], blocks: new Map([["norm", { bits: 4, blockSize: 32 }]]) };
    await expect(openQuantized(await Checkpoint.open(folder), plan, { cache })).rejects.toMatchObject({
      code: "unsupported_model",
      message: expect.stringContaining("[100]"),
    });
  });

  test("a cache where nothing can be written", async () => {
    const { folder } = await makeModel();
    const taken = path.join(await makeFolder({ taken: "" }), "taken");
    await expect(openQuantized(await Checkpoint.open(folder), PLAN, { cache: taken })).rejects.toMatchObject({
      code: "runtime_failure",
      message: expect.stringContaining("LLAVA_CACHE"),
    });
  });
});
