import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Checkpoint } from "@llava/checkpoint";
import { Engine, type EngineEvent } from "@llava/engine";
import { gguf, type GGUFParseOutput } from "@huggingface/gguf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeRandomCheckpoint } from "./random-checkpoint.ts";
import { writeRandomGguf } from "./random-gguf.ts";
import type { Shape } from "./shapes.ts";

const SHAPE: Shape = {
  text: { hidden: 64, intermediate: 96, layers: 2, heads: 4, kvHeads: 2, context: 256, vocabulary: 32_064 },
  vision: { hidden: 32, intermediate: 64, layers: 3, heads: 2, image: 28, patch: 14 },
};
const quietly = (): void => {};
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "random-model-"));
});
afterAll(async () => await rm(folder, { recursive: true }));

function spread(values: Float32Array): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(square) };
}

describe("a random checkpoint", () => {
  it("is a model that answers, its weights normal and of another kind in each layer", async () => {
    const model = path.join(folder, "model");
    const shares: number[] = [];
    await writeRandomCheckpoint(model, SHAPE, { seed: 1, report: (share) => shares.push(share) });
    expect(shares.at(-1)).toBe(1);

    const checkpoint = await Checkpoint.open(model);
    const matrix = (layer: number): string => `language_model.model.layers.${layer}.mlp.up_proj.weight`;
    const [first, second] = [await checkpoint.read(matrix(0)), await checkpoint.read(matrix(1))];
    expect(spread(first).deviation).toBeCloseTo(1 / 8, 2);
    expect(spread(first).mean).toBeCloseTo(0, 2);
    expect(first).not.toEqual(second);
    expect(spread(await checkpoint.read("language_model.model.norm.weight")).mean).toBeCloseTo(1, 1);

    await using engine = await Engine.load(model);
    const request = { prompt: "Say it.", images: [], maxTokens: 4, ignoreEos: true, temperature: 0 };
    const events: EngineEvent[] = [];
    for await (const event of engine.generate(request)) events.push(event);
    expect(events.at(-1)).toMatchObject({
      type: "finished",
      usage: { promptTokens: 8, completionTokens: 4 },
    });
  });

  it("is the same for the same seed and another for another", async () => {
    const weights = async (name: string, seed: number): Promise<Buffer> => {
      await writeRandomCheckpoint(path.join(folder, name), SHAPE, { seed });
      return await readFile(path.join(folder, name, "model.safetensors"));
    };
    const one = await weights("a", 7);
    expect(one.equals(await weights("b", 7))).toBe(true);
    expect(one.equals(await weights("c", 8))).toBe(false);
  });

  it("is split into files where it is too large for one", async () => {
    const model = path.join(folder, "shards");
    await writeRandomCheckpoint(model, SHAPE, { seed: 1, shardBytes: 5_000_000 });
    const checkpoint = await Checkpoint.open(model);
    expect(checkpoint.files().map(({ name }) => name)).toEqual([
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
    ]);
    const { deviation } = spread(await checkpoint.read("language_model.lm_head.weight"));
    expect(deviation).toBeCloseTo(2 / 8, 2);
  });
});

describe("a random GGUF file", () => {
  it("says where its tensors lie, aligned, and ends with the last", async () => {
    const { bytes, tensorInfos, tensorDataOffset } = await randomGguf();
    expect(tensorInfos.map(({ name }) => name)).toContain("blk.1.ffn_down.weight");
    for (const { offset } of tensorInfos) expect(offset % 32n).toBe(0n);
    const last = tensorInfos.at(-1);
    // 512 rows of one block of Q6_K.
    expect(last).toMatchObject({ name: "output.weight", dtype: 14, shape: [256n, 512n] });
    expect(Number(tensorDataOffset + (last?.offset ?? 0n)) + 512 * 210).toBe(bytes.length);
  });

  it("has blocks whose values spread as those of the checkpoint", async () => {
    const { bytes, tensorInfos, tensorDataOffset } = await randomGguf();
    const up = tensorInfos.find(({ name }) => name === "blk.0.ffn_up.weight");
    const start = Number(tensorDataOffset + (up?.offset ?? 0n));
    const values: number[] = [];
    for (let block = start; block < start + (256 * 256 * 18) / 32; block += 18) {
      const scale = float16(bytes.readUInt16LE(block));
      for (const byte of bytes.subarray(block + 2, block + 18))
        values.push(scale * ((byte & 15) - 8), scale * ((byte >>> 4) - 8));
    }
    const { mean, deviation } = spread(Float32Array.from(values));
    expect(deviation).toBeCloseTo(1 / 16, 3);
    expect(mean).toBeCloseTo(0, 3);
  });

  /** The file as written, and what Hugging Face's reader finds in its header. */
  async function randomGguf(): Promise<GGUFParseOutput & { bytes: Buffer }> {
    const file = path.join(folder, "model.gguf");
    const text = { ...SHAPE.text, hidden: 256, intermediate: 256, vocabulary: 512 };
    await writeRandomGguf(file, text, 1, quietly);
    return { ...(await gguf(file, { allowLocalFile: true })), bytes: await readFile(file) };
  }
});

function float16(bits: number): number {
  return new Float16Array(Uint16Array.of(bits).buffer)[0] ?? Number.NaN;
}
