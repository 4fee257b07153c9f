/** Weights in other numbers, on a tiny true model: each way of loading against the same sums done in float32. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type ComputeType, decoderGraph, encoderGraph, type WeightSource } from "@llava/models";
import { Checkpoint, dequantize, quantize, writeSafetensors } from "@llava/checkpoint";
import { type ModelDescription, type WeightFolder, openModelFolder } from "@llava/models";
import { Session, Value } from "@llava/runtime";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Decoder } from "../src/runner/decoder.ts";
import { Engine, type EngineOptions } from "../src/index.ts";
import type { WeightDType } from "../src/weights/weight-dtype.ts";
import { loadWeights, type PlacedWeights } from "../src/weights/weights.ts";
import { MODEL, one, read } from "./engine-fixtures.ts";

const signal = new AbortController().signal;
const IDS = Array.from({ length: 40 }, (_, i) => 5 + ((i * 7) % 60));
const CACHE_BYTES = 2 ** 30;

let cache: string;
let model: ModelDescription;
let folders: readonly WeightFolder[];
beforeAll(async () => {
  cache = await mkdtemp(path.join(tmpdir(), "llava-cache-"));
  vi.stubEnv("LLAVA_CACHE", cache);
  ({ description: model, weights: folders } = await openModelFolder(MODEL));
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true });
});

/** Logits [tokens, vocabulary] of the same words. */
async function logitsWith(
  { source, folder }: PlacedWeights,
  computeType: ComputeType = "float32",
): Promise<Float32Array> {
  const options = { externalDataFolder: folder };
  using decoder = await Decoder.load(model, source, CACHE_BYTES, options, computeType);
  await decoder.resize(1, 64);
  const rows = IDS.map((_, i) => i);
  const featureRows = IDS.map(() => -1);
  return await decoder.prefill(
    { slot: 0, ids: IDS, featureRows, features: undefined, past: 0, logitRows: rows },
    signal,
  );
}

async function featuresWith({ source, folder }: PlacedWeights): Promise<Float32Array> {
  const { imageSize } = model.vision;
  using session = await Session.load(encoderGraph(model, source), { externalDataFolder: folder });
  const pixels = Float32Array.from({ length: 3 * imageSize ** 2 }, (_, i) => Math.sin(i));
  const { features } = await session.run(
    { pixels: Value.wrap("float32", pixels, [1, 3, imageSize, imageSize]) },
    ["features"],
  );
  return Float32Array.from(features?.data() ?? [], Number);
}

/** Root of the mean square of the difference, as a share of the values'. */
function relativeError(values: Float32Array, expected: Float32Array): number {
  expect(values).toHaveLength(expected.length);
  const square = (sum: number, value: number): number => sum + value * value;
  const difference = values.map((value, i) => value - (expected[i] ?? 0));
  return Math.sqrt(difference.reduce(square, 0) / expected.reduce(square, 0));
}

/** A checkpoint whose matrices are what the blocks of `quantized` stand for, in float32. */
async function unpacked(dtype: "int4" | "int8", quantized: WeightSource): Promise<PlacedWeights> {
  const checkpoint = await Checkpoint.open(MODEL);
  const tensors = await Promise.all(
    checkpoint.names().map(async (name) => {
      const { shape } = checkpoint.get(name);
      const values = await checkpoint.read(name);
      const format = quantized.blocks?.(name);
      const columns = shape[1] ?? 1;
      if (!format) return { name, dtype: "F32" as const, shape, data: values };
      const perRow = Math.ceil(columns / format.blockSize);
      const rows = values.length / columns;
      const blocks = new Uint8Array((rows * perRow * format.blockSize * format.bits) / 8);
      const scales = new Float32Array(rows * perRow);
      quantize(values, columns, format, blocks, scales);
      return { name, dtype: "F32" as const, shape, data: dequantize(blocks, scales, columns, format) };
    }),
  );
  const folder = await mkdtemp(path.join(cache, `${dtype}-`));
  await writeSafetensors(path.join(folder, "model.safetensors"), tensors);
  return { source: await Checkpoint.open(folder), folder, files: [] };
}

describe("the language model", () => {
  test("float16 is float32 but for the order of sums: the same numbers, widened later", async () => {
    const wide = await loadWeights(folders, model, { dtype: "float32" });
    const half = await loadWeights(folders, model, { dtype: "float16" });
    expect(relativeError(await logitsWith(half.decoder), await logitsWith(wide.decoder))).toBeLessThan(1e-6);
    expect(relativeError(await featuresWith(half.encoder), await featuresWith(wide.encoder))).toBeLessThan(
      1e-6,
    );
  });

  // What is laid out wrongly is off by more than 1.
  test.each(["int8", "int4"] as const)(
    "%s is what its blocks stand for, but for the rounding of activations to int8",
    async (dtype) => {
      const { decoder } = await loadWeights(folders, model, { dtype });
      const logits = await logitsWith(decoder);
      expect(relativeError(logits, await logitsWith(await unpacked(dtype, decoder.source)))).toBeLessThan(
        0.08,
      );
    },
  );

  test.each(["float32", "int8", "int4"] as const)(
    "%s computed in float16 is what it is in float32, but for rounding",
    async (dtype) => {
      const { decoder } = await loadWeights(folders, model, { dtype });
      const error = relativeError(await logitsWith(decoder, "float16"), await logitsWith(decoder));
      expect(error).toBeGreaterThan(1e-5);
      // Activations are rounded to int8 before a product with blocks: one that float16 moves over a border moves by 1/127.
      expect(error).toBeLessThan(dtype === "float32" ? 5e-3 : 5e-2);
    },
  );

  test("more bits are nearer to float32", async () => {
    const expected = await logitsWith((await loadWeights(folders, model, { dtype: "float32" })).decoder);
    const errorOf = async (dtype: WeightDType): Promise<number> =>
      relativeError(await logitsWith((await loadWeights(folders, model, { dtype })).decoder), expected);
    const [eight, four] = [await errorOf("int8"), await errorOf("int4")];
    expect(eight).toBeLessThan(0.1);
    expect(four).toBeGreaterThan(2 * eight);
  });

  test("in blocks, the head has 8 bits and the embedding stays as it is", async () => {
    const { decoder } = await loadWeights(folders, model, { dtype: "int4" });
    const head = model.text.tiedEmbeddings ? "language_model.model.embed_tokens" : "language_model.lm_head";
    expect(decoder.source.blocks?.(`${head}.weight`)).toMatchObject({ bits: 8 });
    expect(decoder.source.blocks?.("language_model.model.layers.0.mlp.up_proj.weight")).toMatchObject({
      bits: 4,
    });
    expect(decoder.source.get("language_model.model.embed_tokens.weight").dtype).toBe("F16");
    // The graph asks for nothing that the file does not hold.
    expect(decoderGraph(model, decoder.source).length).toBeGreaterThan(0);
  });
});

describe("the vision encoder", () => {
  test("stays as it is unless asked", async () => {
    const expected = await featuresWith((await loadWeights(folders, model, { dtype: "float32" })).encoder);
    const plain = await loadWeights(folders, model, { dtype: "int4" });
    expect(relativeError(await featuresWith(plain.encoder), expected)).toBeLessThan(1e-6);
    const asked = await loadWeights(folders, model, { dtype: "int8", quantizesVision: true });
    const error = relativeError(await featuresWith(asked.encoder), expected);
    expect(error).toBeGreaterThan(1e-5);
    expect(error).toBeLessThan(0.05);
  });
});

describe("the engine", () => {
  const answer = async (options: EngineOptions): Promise<string> => {
    await using engine = await Engine.load(MODEL, options);
    const request = {
      prompt: [{ role: "user" as const, text: "<image>\nWhat is this?" }],
      images: [one],
      temperature: 0,
      maxTokens: 12,
    };
    const { end, tokens } = await read(engine.generate(request));
    expect(end.type).toBe("finished");
    return tokens.join();
  };

  test("answers with all of them", async () => {
    const wide = await answer({ dtype: "float32" });
    expect(await answer({ dtype: "float16" })).toBe(wide);
    const four = await answer({ dtype: "int4" });
    expect(await answer({ dtype: "int4" })).toBe(four);
  });

  test("refuses a type that there is not, before anything is read", async () => {
    const options = JSON.parse('{ "dtype": "int3" }') as EngineOptions;
    await expect(Engine.load("nowhere", options)).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("float32, float16, int8, int4"),
    });
  });

  test("tells how far it is, and gives up when asked to", async () => {
    const empty = await mkdtemp(path.join(cache, "empty-"));
    vi.stubEnv("LLAVA_CACHE", empty);
    try {
      const phases = new Set<string>();
      const stop = new AbortController();
      const loading = Engine.load(MODEL, {
        dtype: "int4",
        signal: stop.signal,
        onProgress: ({ phase, unit }) => {
          if (unit === "bytes") phases.add(phase);
          if (unit === "bytes") stop.abort(new Error("enough"));
        },
      });
      await expect(loading).rejects.toThrow();
      expect([...phases]).toEqual(["quantizing"]);
      const engine = await Engine.load(MODEL, { dtype: "int4" });
      await engine[Symbol.asyncDispose]();
    } finally {
      vi.stubEnv("LLAVA_CACHE", cache);
    }
  });

  test("damaged blocks are made again before a token is emitted", async () => {
    const expected = await answer({ dtype: "int4" });
    const folder = path.join(cache, "quantized");
    for (const name of await readdir(folder)) {
      if (!name.endsWith(".safetensors")) continue;
      const bytes = await readFile(path.join(folder, name));
      bytes.fill(0x3c, bytes.length - 20_000);
      await writeFile(path.join(folder, name), bytes);
    }
    const phases = new Set<string>();
    expect(await answer({ dtype: "int4", onProgress: ({ phase }) => phases.add(phase) })).toBe(expected);
    expect([...phases]).toContain("the cached weights are damaged and are made again");
    expect([...phases]).toContain("quantizing");
  });

  test("a cache that cannot be written is a sentence that names the variable", async () => {
    const taken = path.join(cache, "taken");
    await writeFile(taken, "");
    vi.stubEnv("LLAVA_CACHE", taken);
    try {
      await expect(Engine.load(MODEL, { dtype: "int4" })).rejects.toMatchObject({
        code: "runtime_failure",
        message: expect.stringContaining("LLAVA_CACHE"),
      });
    } finally {
      vi.stubEnv("LLAVA_CACHE", cache);
    }
  });
});
