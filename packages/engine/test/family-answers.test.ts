/** Models of every text family answer through the whole engine, many requests at once, like Hugging Face transformers. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Engine } from "../src/index.ts";
import { one, read } from "./engine-fixtures.ts";

const goldenSchema = z.object({
  prompts: z.record(z.string(), z.object({ text: z.string(), greedy: z.array(z.int()) })),
});

describe.each(["qwen2-f16", "mistral-bf16"])("the engine with %s", (name) => {
  const folder = path.join(import.meta.dirname, "golden", name);
  const { prompts } = goldenSchema.parse(JSON.parse(readFileSync(path.join(folder, "golden.json"), "utf8")));

  it("answers requests side by side, and again from the prefix cache", async () => {
    await using engine = await Engine.load(folder, { threads: 1 });
    const ask = async (): Promise<void> => {
      const answers = Object.values(prompts).map(async ({ text, greedy }) => {
        const images = text.includes("<image>") ? [one] : [];
        const request = { prompt: text, images, temperature: 0, maxTokens: greedy.length, ignoreEos: true };
        expect((await read(engine.generate(request))).tokens).toEqual(greedy);
      });
      await Promise.all(answers);
    };
    await ask();
    await ask();
  });
});
