import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openModelFolder } from "@llava/models";
import { LlavaError } from "@llava/protocol";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { MODEL } from "../../test/engine-fixtures.ts";
import { requireModelMemory } from "./memory-check.ts";
import { loadWeights } from "./weights.ts";

const memory = vi.hoisted(() => ({ available: 0 }));
vi.mock("./available-memory.ts", () => ({ availableMemory: async () => memory.available }));

let cache = "";
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), "llava-cache-"));
  vi.stubEnv("LLAVA_CACHE", cache);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true });
});

const DTYPES = ["float32", "float16", "int8", "int4"] as const;
const settings = DTYPES.flatMap((dtype) => [
  { dtype, quantizesVision: false },
  { dtype, quantizesVision: true },
]);

/** The sentence of the refusal; null when there is none. */
async function refusal(attempt: Promise<unknown>): Promise<string | null> {
  try {
    await attempt;
    return null;
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(LlavaError);
    expect(thrown).toMatchObject({ code: "out_of_memory" });
    return thrown instanceof LlavaError ? thrown.message : "";
  }
}

describe.each(settings)("the memory check of $dtype, vision quantized: $quantizesVision", (options) => {
  test("needs as much as loading the same folder, to the byte", async () => {
    const { description } = await openModelFolder(MODEL);
    const { estimate } = await requireModelMemory(MODEL, options, Infinity);
    expect(estimate.dtype).toBe(options.dtype);
    for (const [available, fits] of [
      [estimate.total, true],
      [estimate.total - 1, false],
    ] as const) {
      memory.available = available;
      const checked = await refusal(requireModelMemory(MODEL, options));
      const loaded = await refusal(loadWeights(MODEL, description, options));
      expect(checked === null).toBe(fits);
      expect(loaded).toBe(checked);
    }
  });
});
