import path from "node:path";
import { openModelFolder } from "@llava/models";
import { beforeEach, expect, test, vi } from "vitest";
import { requireModelMemory } from "./model-memory.ts";
import { WEIGHT_DTYPES } from "./weight-dtype.ts";
import { loadWeights } from "./weights.ts";

const MODEL = path.join(import.meta.dirname, "../../test/golden/grouped-f16-names-5");

// The one thing that a test cannot choose: how much memory this machine has free, bytes.
const machine = vi.hoisted(() => ({ free: 0 }));
vi.mock("./available-memory.ts", () => ({ availableMemory: async () => machine.free }));
beforeEach(() => {
  machine.free = 1;
});

test.each(WEIGHT_DTYPES)("the memory estimate of a folder is that of loading it: %s", async (dtype) => {
  const { description, weights } = await openModelFolder(MODEL);
  const loaded = await loadWeights(weights, description, { dtype }).catch((error: unknown) => String(error));
  const estimated = await requireModelMemory(MODEL, { dtype }).catch((error: unknown) => String(error));
  expect(estimated).toMatch(/needs about [\d.]+ GB of memory/);
  expect(estimated).toBe(loaded);
});

test("the memory estimate of a folder that fits has its numbers", async () => {
  machine.free = 2 ** 40;
  const { estimate, free } = await requireModelMemory(MODEL, { dtype: "float32" });
  expect(free).toBe(2 ** 40);
  const { languageModel, visionEncoder, keysAndValues, rest, total } = estimate;
  expect(languageModel).toBeGreaterThan(visionEncoder);
  expect(total).toBe(languageModel + visionEncoder + keysAndValues + rest);
});
