/** The smaller endpoints with OpenAI's own client: texts that go on, and what models there are. */
import OpenAI, { NotFoundError } from "openai";
import { describe, expect, test } from "vitest";
import { computed, type Visit } from "./openai-stage.ts";

export function describeTexts(visit: Visit): void {
  describe.skipIf(visit.lacks("text_completion"))("texts", () => {
    const params = (): OpenAI.CompletionCreateParamsNonStreaming => ({
      model: visit.stage.model,
      prompt: "Once upon a time",
      temperature: 0,
    });

    test("whole, 16 tokens unless more are asked for, and as a list of one", async () => {
      const completion = await visit.client.completions.create(params());
      expect(completion).toMatchObject({
        id: expect.stringMatching(/^cmpl-/),
        object: "text_completion",
        model: visit.stage.model,
        choices: [
          { index: 0, text: expect.stringMatching(/^[a-z]{16}$/), logprobs: null, finish_reason: "length" },
        ],
        usage: { completion_tokens: 16 },
      });
      const listed = await visit.client.completions.create({ ...params(), prompt: ["Once upon a time"] });
      expect(listed.choices).toEqual(completion.choices);
    });

    test("streamed: the same text, the usage with include_usage", async () => {
      const whole = await visit.client.completions.create({ ...params(), max_tokens: 5 });
      const options = { stream: true, stream_options: { include_usage: true }, max_tokens: 5 } as const;
      const chunks: OpenAI.Completion[] = [];
      for await (const chunk of await visit.client.completions.create({ ...params(), ...options }))
        chunks.push(chunk);
      const choices = chunks.flatMap((chunk) => chunk.choices);
      expect(choices.map((choice) => choice.text).join("")).toBe(whole.choices[0]?.text);
      expect(choices.map((choice) => choice.finish_reason).filter(Boolean)).toEqual(["length"]);
      expect(chunks.at(-1)).toMatchObject({ choices: [], usage: computed(whole.usage) });
      expect(new Set(chunks.slice(0, -1).map(({ usage }) => usage))).toEqual(new Set([null]));
    });

    test("what it cannot do is refused by name", async () => {
      for (const [param, value] of [
        ["echo", true],
        ["best_of", 2],
        ["logprobs", 6],
        ["suffix", "end"],
      ] as const) {
        const refusal = visit.client.completions.create({ ...params(), [param]: value });
        await expect(refusal).rejects.toMatchObject({ status: 400, param });
      }
    });
  });
}

export function describeModels(visit: Visit): void {
  describe("models", () => {
    test("in a list and one by one, with what a client wants to know", async () => {
      const models: unknown[] = [];
      for await (const model of visit.client.models.list()) models.push(model);
      const model = await visit.client.models.retrieve(visit.stage.model);
      expect(models).toEqual([model]);
      expect(model).toMatchObject({
        id: visit.stage.model,
        object: "model",
        owned_by: "llava",
        input_modalities: ["text", "image"],
        context_length: expect.any(Number),
        tokens_per_image: visit.stage.tokensPerImage,
        limits: { images: visit.lacks("several_images") ? 1 : 8 },
        capabilities: { vision: true, image_detail: false, tools: false },
      });
    });

    test("that are not there are not found", async () => {
      const refusal = visit.client.models.retrieve("meta/other");
      await expect(refusal).rejects.toBeInstanceOf(NotFoundError);
      await expect(refusal).rejects.toMatchObject({ code: "model_not_found", param: "model" });
    });
  });
}
