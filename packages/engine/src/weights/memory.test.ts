import { LlavaError } from "@llava/protocol";
import { expect, test } from "vitest";
import { estimateMemory, type MemoryNeeds, requireMemory } from "./memory.ts";
import type { WeightDType } from "./weight-dtype.ts";

/** LLaVA-1.5-7B: Vicuna and CLIP-L, in float16 files. */
const part = (matrixElements: number) => ({
  stored: [],
  matrices: [],
  matrixElements,
  matrixBytes: 2 * matrixElements,
});
const needs = (dtype: WeightDType, quantizesVision = false): MemoryNeeds => ({
  model: {
    text: {
      family: "llama",
      hiddenSize: 4096,
      intermediateSize: 11_008,
      layers: 32,
      heads: 32,
      kvHeads: 32,
      headSize: 128,
      ropeTheta: 10_000,
      rmsNormEps: 1e-5,
      vocabSize: 32_064,
      tiedEmbeddings: false,
      contextLength: 4096,
      bosTokenId: 1,
      eosTokenIds: [2],
    },
    vision: {
      family: "clip_vision_model",
      hiddenSize: 1024,
      intermediateSize: 4096,
      layers: 24,
      heads: 16,
      imageSize: 336,
      patchSize: 14,
      activation: "quick_gelu",
      layerNormEps: 1e-5,
      layersToRun: 23,
      keepsClassToken: false,
      tokensPerImage: 576,
    },
    pixels: { size: 336, shape: "pad", mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], rescale: 1 / 255 },
  },
  encoder: part(310e6),
  decoder: part(6.6e9),
  dtype,
  quantizesVision,
});

const GB = 1e9;

test("computing in half precision halves keys and values, and no weights stay mapped", () => {
  const [wide, half] = [
    estimateMemory(needs("float16")),
    estimateMemory({ ...needs("float16"), computeType: "float16" }),
  ];
  expect(half.keysAndValues).toBe(wide.keysAndValues / 2);
  const { languageModel, visionEncoder } = estimateMemory(needs("float32"));
  expect(half).toMatchObject({ languageModel, visionEncoder });
});

test("less with every step down, and the sum is the sum of its parts", () => {
  const totals = (["float32", "float16", "int8", "int4"] as const).map((dtype) => {
    const { languageModel, visionEncoder, keysAndValues, rest, total } = estimateMemory(needs(dtype));
    expect(total).toBe(languageModel + visionEncoder + keysAndValues + rest);
    return total;
  });
  expect(totals).toEqual(totals.toSorted((a, b) => b - a));
  expect(totals[0]).toBeGreaterThan(27 * GB);
  expect(estimateMemory(needs("int4", true)).total).toBeLessThan(estimateMemory(needs("int4")).total);
});

test("a short context needs fewer keys and values", () => {
  const long = needs("int4");
  const short = { ...long, model: { ...long.model, text: { ...long.model.text, contextLength: 100 } } };
  expect(estimateMemory(short).keysAndValues).toBe(2 * 32 * 4096 * 4 * 100);
});

test("what fits is let through", async () => {
  await requireMemory(needs("int4"), 8 * GB);
  await expect(requireMemory(needs("int4"), 5 * GB)).rejects.toBeInstanceOf(LlavaError);
});

test.each<[free: number, dtype: WeightDType, advice: string]>([
  [20, "float32", "With --dtype float16 it needs about 1"],
  [11, "float32", "With --load-8bit it needs about "],
  [8, "float32", "With --load-4bit it needs about "],
  [8, "int8", "With --load-4bit it needs about "],
  [2, "float32", "Even with --load-4bit it needs about "],
  [2, "int4", "Free some memory, or take a smaller model."],
])("with %d GB free, %s is refused with the numbers and what to do", async (free, dtype, advice) => {
  const error: unknown = await requireMemory(needs(dtype), free * GB).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "out_of_memory" });
  const { message } = error as LlavaError;
  expect(message).toContain(advice);
  expect(message).toContain(`but ${free}.0 GB are free`);
  expect(message).toMatch(
    /language model \d+\.\d GB, vision encoder \d\.\d GB, keys and values .* \d\.\d GB/,
  );
});
