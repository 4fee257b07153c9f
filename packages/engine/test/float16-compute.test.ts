/** The engine computing in float16: answers, batches, sizes, and what is refused. */
import path from "node:path";
import { survey } from "@llava/demo";
import { render, SCENE_SIZE } from "@llava/demo/scenes";
import sharp from "sharp";
import { describe, expect, it, vi } from "vitest";
import { Decoder } from "../src/runner/decoder.ts";
import { Engine, type EngineOptions, type GenerateRequest } from "../src/index.ts";
import { MODEL, one, read, two } from "./engine-fixtures.ts";

const SHIPPED = path.join(import.meta.dirname, "../../demo/model/llava-demo");
const NUM_QUESTIONS = 200;

/** Questions of the demo's evaluation, evenly over their kinds, each about an image of its own. */
async function demoQuestions(): Promise<GenerateRequest[]> {
  const items: Parameters<Parameters<typeof survey>[0]>[0][] = [];
  const collect = async (item: (typeof items)[number]): Promise<string> => {
    items.push(item);
    return await Promise.resolve("");
  };
  await survey(collect, { split: "test", wording: "trained", perKind: 17 });
  expect(items.length).toBeGreaterThan(NUM_QUESTIONS);
  const chosen = items.filter((_, i) => (i * NUM_QUESTIONS) % items.length < NUM_QUESTIONS);
  expect(chosen).toHaveLength(NUM_QUESTIONS);
  const raw = { width: SCENE_SIZE, height: SCENE_SIZE, channels: 3 } as const;
  return await Promise.all(
    chosen.map(async ({ scene, question }) => ({
      prompt: [{ role: "user" as const, text: `<image>\n${question}` }],
      images: [await sharp(render(scene), { raw }).png().toBuffer()],
      temperature: 0,
      maxTokens: 64,
    })),
  );
}

async function answers(
  folder: string,
  options: EngineOptions,
  requests: readonly GenerateRequest[],
): Promise<(readonly number[])[]> {
  await using engine = await Engine.load(folder, { maxWaiting: requests.length, ...options });
  return await Promise.all(
    requests.map(async (request) => {
      const { tokens, end } = await read(engine.generate(request));
      expect(end.type).toBe("finished");
      return tokens;
    }),
  );
}

describe("computing in float16", () => {
  it("answers 200 questions about images with the tokens of float32", async () => {
    const requests = await demoQuestions();
    const expected = await answers(SHIPPED, {}, requests);
    expect(await answers(SHIPPED, { computeType: "float16" }, requests)).toEqual(expected);
  });

  it.each(["float32", "float16", "int8", "int4"] as const)(
    "with weights in %s answers a batch as it answers each alone",
    async (dtype) => {
      const prompts = [
        { prompt: "USER: <image>\nWhat is this? ASSISTANT:", images: [one] },
        { prompt: "USER: <image>\n<image>\nWhich is larger? ASSISTANT:", images: [two, one] },
        { prompt: "USER: Name a color. ASSISTANT:", images: [] },
        { prompt: "USER: Name a color. ASSISTANT: red USER: And another? ASSISTANT:", images: [] },
      ];
      const requests = prompts.flatMap((request) => [
        { ...request, temperature: 0, maxTokens: 24 },
        { ...request, temperature: 0.7, topP: 0.9, seed: 3, maxTokens: 24 },
      ]);
      const options = { computeType: "float16", dtype } as const;
      const single = { ...options, maxRunning: 1, prefixCache: false, featureBytes: 0 };
      for (const folder of [SHIPPED, MODEL]) {
        const together = await answers(folder, { ...options, maxRunning: 4 }, requests);
        expect(together).toEqual(await answers(folder, single, requests));
      }
    },
  );

  it("makes no drafts, whose steps round otherwise than those of one token", async () => {
    const draftSteps = async (options: EngineOptions): Promise<number> => {
      const prefill = vi.spyOn(Decoder.prototype, "prefill");
      const request = { prompt: "USER: Name a color. ASSISTANT:", images: [], temperature: 0, maxTokens: 60 };
      await answers(MODEL, options, [request]);
      const count = prefill.mock.calls.filter(([{ logitRows }]) => logitRows.length > 1).length;
      prefill.mockRestore();
      return count;
    };
    expect(await draftSteps({})).toBeGreaterThan(0);
    expect(await draftSteps({ computeType: "float16" })).toBe(0);
  });

  it("takes half the memory for keys, values and features", async () => {
    const bytes = async (options: EngineOptions): Promise<number[]> => {
      await using engine = await Engine.load(MODEL, options);
      await read(engine.generate({ prompt: "USER: <image>\nHi ASSISTANT:", images: [one], maxTokens: 2 }));
      return [engine.holdings.keyValueBytes, engine.holdings.featureBytes];
    };
    const wide = await bytes({});
    expect(await bytes({ computeType: "float16" })).toEqual(wide.map((count) => count / 2));
  });
});

it.each([
  ["cpu", "bfloat16", "float32 or float16"],
  ["cuda:1", "float32", "float16 or bfloat16"],
  ["webgpu", "bfloat16", "float32 or float16"],
] as const)(
  "on %s, computing in %s is refused before anything is read",
  async (device, computeType, possible) => {
    await expect(Engine.load("nowhere", { device, computeType })).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining(`computes in ${possible} only`),
    });
  },
);
