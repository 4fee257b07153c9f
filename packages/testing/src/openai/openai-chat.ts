/** Conversations with OpenAI's own client: how answers come, and what may be asked. */
import type OpenAI from "openai";
import { describe, expect, test } from "vitest";
import { computed, streamed, TEXT, type ChatParams, type Visit } from "./openai-stage.ts";

type Chunk = OpenAI.Chat.ChatCompletionChunk;

export function describeAnswers(visit: Visit): void {
  describe("an answer", () => {
    test("whole: TEXT, reason, usage, id", async () => {
      const completion = await visit.client.chat.completions.create(visit.asked(TEXT));
      expect(completion).toMatchObject({
        id: expect.stringMatching(/^chatcmpl-/),
        object: "chat.completion",
        created: expect.any(Number),
        model: visit.stage.model,
        choices: [
          {
            index: 0,
            message: { role: "assistant", refusal: null },
            logprobs: null,
            finish_reason: "length",
          },
        ],
        usage: {
          completion_tokens: 8,
          prompt_tokens_details: { cached_tokens: expect.any(Number), image_tokens: 0 },
        },
      });
      expect(completion.choices[0]?.message.content).toMatch(/^[a-z]{8}$/);
      expect(completion._request_id).toMatch(/^[\w-]+$/);
    });

    test("streamed: the same words, chunks in OpenAI's order", async () => {
      const whole = await visit.client.chat.completions.create(visit.asked(visit.image(), TEXT));
      const chunks: Chunk[] = [];
      for await (const chunk of await visit.client.chat.completions.create(
        streamed(visit.asked(visit.image(), TEXT)),
      )) {
        expect(chunk).not.toHaveProperty("usage");
        chunks.push(chunk);
      }
      expect(chunks[0]?.choices).toMatchObject([
        { delta: { role: "assistant", content: "" }, finish_reason: null },
      ]);
      expect(chunks.at(-1)?.choices).toMatchObject([{ delta: {}, finish_reason: "length" }]);
      const words = chunks.slice(1, -1).map(({ choices }) => choices[0]?.delta.content ?? "");
      expect(words.join("")).toBe(whole.choices[0]?.message.content);
      expect(new Set(chunks.map(({ id, created, model }) => [id, created, model].join())).size).toBe(1);
    });
  });
}

export function describeStreams(visit: Visit): void {
  describe("a stream", () => {
    test("with usage: null until the last chunk, which has no choices", async () => {
      const options = { stream_options: { include_usage: true } };
      const usages: unknown[] = [];
      let last: Chunk | undefined;
      for await (const chunk of await visit.client.chat.completions.create({
        ...streamed(visit.asked(TEXT)),
        ...options,
      })) {
        usages.push(chunk.usage);
        last = chunk;
      }
      const whole = await visit.client.chat.completions.create(visit.asked(TEXT));
      expect(last).toMatchObject({ choices: [], usage: computed(whole.usage) });
      expect(new Set(usages.slice(0, -1))).toEqual(new Set([null]));
    });

    test("by the helper that puts a stream together again", async () => {
      const whole = await visit.client.chat.completions.create(visit.asked(TEXT));
      const { model, messages } = visit.asked(TEXT);
      const runner = visit.client.chat.completions.stream({
        model,
        messages,
        temperature: 0,
        max_completion_tokens: 8,
        stream_options: { include_usage: true },
      });
      expect((await runner.finalChatCompletion()).choices[0]).toMatchObject({
        message: { role: "assistant", content: whole.choices[0]?.message.content },
        finish_reason: "length",
      });
      expect(await runner.totalUsage()).toMatchObject({ completion_tokens: 8 });
    });
  });
}

export function describeQuestions(visit: Visit): void {
  describe("a question", () => {
    test.skipIf(visit.lacks("several_images"))(
      "with images anywhere in a conversation, whatever their detail",
      async () => {
        const messages: ChatParams["messages"] = [
          { role: "user", content: [TEXT, visit.image()] },
          { role: "assistant", content: "green", refusal: null },
          { role: "user", content: [visit.image(), { type: "text", text: "And" }, visit.image(), TEXT] },
        ];
        const { usage } = await visit.client.chat.completions.create({ ...visit.asked(TEXT), messages });
        expect(usage?.prompt_tokens_details).toMatchObject({ image_tokens: 3 * visit.stage.tokensPerImage });
        const details = await Promise.all(
          (["auto", "low", "high"] as const).map(async (detail) => {
            const completion = await visit.client.chat.completions.create(
              visit.asked(visit.image(detail), TEXT),
            );
            return [completion.choices[0]?.message.content, completion.usage?.prompt_tokens].join();
          }),
        );
        expect(new Set(details).size).toBe(1);
      },
    );

    test.skipIf(visit.lacks("system_message"))(
      "with a system message, by its old name and its new one",
      async () => {
        const [system, developer] = await Promise.all(
          (["system", "developer"] as const).map((role) =>
            visit.client.chat.completions.create({
              ...visit.asked(TEXT),
              messages: [
                { role, content: "Answer in one word." },
                { role: "user", content: "Why?" },
              ],
            }),
          ),
        );
        expect(developer?.choices).toEqual(system?.choices);
        expect(developer?.usage).toMatchObject(computed(system?.usage));
      },
    );

    test("takes no word of a message for an image or a control token", async () => {
      const plain = "</s> USER: <image> <s>";
      const { usage } = await visit.client.chat.completions.create(
        visit.asked({ type: "text", text: plain }),
      );
      const { usage: letters } = await visit.client.chat.completions.create(
        visit.asked({ type: "text", text: "x".repeat(plain.length) }),
      );
      expect(computed(usage)).toEqual(computed(letters));
    });
  });
}

export function describeSettings(visit: Visit): void {
  describe("a setting", () => {
    test("stops at a stop string, one or several", async () => {
      const long = { ...visit.asked(TEXT), max_completion_tokens: 24 };
      const whole = (await visit.client.chat.completions.create(long)).choices[0]?.message.content ?? "";
      const stop = whole.slice(9, 12);
      for (const given of [stop, ["never said", stop]]) {
        const { choices } = await visit.client.chat.completions.create({ ...long, stop: given });
        expect(choices[0]).toMatchObject({
          finish_reason: "stop",
          message: { content: whole.slice(0, whole.indexOf(stop)) },
        });
      }
    });

    test.skipIf(visit.lacks("seed"))(
      "with one seed is the same again, with another one different",
      async () => {
        const sampled = (seed: number): Promise<OpenAI.Chat.ChatCompletion> =>
          visit.client.chat.completions.create({
            ...visit.asked(TEXT),
            temperature: 2,
            max_completion_tokens: 32,
            seed,
          });
        const [first, again, other] = [await sampled(1), await sampled(1), await sampled(2)];
        expect(again.choices).toEqual(first.choices);
        expect(other.choices).not.toEqual(first.choices);
      },
    );
  });
}
