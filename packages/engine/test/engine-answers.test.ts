/** Tests whole answers of Engine.generate, on a tiny model with weights. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { Engine, type GenerateRequest } from "../src/index.ts";
import { decodeImage, findConversation, pixelValues, promptText, renderPrompt } from "@llava/processing";
import { openModelFolder } from "@llava/models";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type Answer, MODEL, ModelCopy, one, read, two, watchRuns } from "./engine-fixtures.ts";

const goldenSchema = z.object({
  prompts: z.record(
    z.string(),
    z.object({ text: z.string(), ids: z.array(z.int()), greedy: z.array(z.int()) }),
  ),
});
const { prompts } = goldenSchema.parse(JSON.parse(readFileSync(path.join(MODEL, "golden.json"), "utf8")));
const IMAGES: Readonly<Record<string, readonly Uint8Array[]>> = {
  picture: [one],
  pictures: [one, two],
  text: [],
};
const TEXT: GenerateRequest = {
  prompt: prompts["text"]?.text ?? "",
  images: [],
  temperature: 0,
  maxTokens: 24,
};
const IMAGE: GenerateRequest = {
  prompt: prompts["picture"]?.text ?? "",
  images: [one],
  temperature: 0,
  maxTokens: 24,
};

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.load(MODEL, { threads: 1 });
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});

const ask = async (request: GenerateRequest): Promise<Answer> => await read(engine.generate(request));
const sampled = (seed?: number): GenerateRequest => ({
  ...IMAGE,
  temperature: 1,
  ...(seed === undefined ? {} : { seed }),
});

describe("an answer", () => {
  it.each(Object.entries(prompts))(
    "to %s is that of Hugging Face transformers, with its numbers",
    async (name, golden) => {
      const images = IMAGES[name] ?? [];
      const { tokens, text, end } = await ask({
        prompt: golden.text,
        images,
        temperature: 0,
        maxTokens: 64,
      });
      expect(tokens).toEqual(golden.greedy);
      const { tokenizer } = await openModelFolder(MODEL);
      expect(text).toBe(tokenizer.decode(golden.greedy, { skipSpecialTokens: true }));
      expect(end).toMatchObject({
        type: "finished",
        reason: "length",
        usage: { promptTokens: golden.ids.length, imageTokens: 16 * images.length, completionTokens: 64 },
      });
      if (end.type !== "finished") return;
      const { queueMs, encodeMs, prefillMs, firstTokenMs, decodeMs } = end.timings;
      for (const ms of [queueMs, encodeMs, prefillMs, decodeMs]) expect(ms).toBeGreaterThanOrEqual(0);
      expect(encodeMs > 0).toBe(images.length > 0);
      expect(queueMs + encodeMs + prefillMs).toBeLessThanOrEqual(firstTokenMs + 1e-6);
    },
  );

  it("to a conversation is the answer to its rendered prompt", async () => {
    const messages = [{ role: "user", text: "<image>\nWhat is this?" }] as const;
    const conversation = await ask({ ...IMAGE, prompt: messages });
    const rendered = promptText(renderPrompt(findConversation(engine.info.conversation), messages));
    // With the original's system text 192 positions are not many.
    expect(conversation).toMatchObject({ end: { type: "finished" } });
    expect(conversation.tokens).toEqual((await ask({ ...IMAGE, prompt: rendered })).tokens);
  });

  it("without max_tokens fills the context, and never more", async () => {
    for (const limit of [{}, { maxTokens: 100_000 }]) {
      const { end, tokens } = await ask({ prompt: TEXT.prompt, images: [], temperature: 0, ...limit });
      expect(end).toMatchObject({ reason: "length", usage: { promptTokens: 30, completionTokens: 162 } });
      expect(tokens).toHaveLength(engine.info.contextLength - 30);
      expect(tokens.slice(0, 24)).toEqual(prompts["text"]?.greedy.slice(0, 24));
    }
  });

  it("can be one token long, and can end the context to the last position", async () => {
    expect(await ask({ ...TEXT, maxTokens: 1 })).toMatchObject({
      end: { reason: "length", usage: { completionTokens: 1 } },
    });
    const { tokenizer } = await openModelFolder(MODEL);
    const full = "a".repeat(191 - tokenizer.encodePrompt("").length);
    expect(await ask({ ...TEXT, prompt: full })).toMatchObject({
      end: { reason: "length", usage: { promptTokens: 191, completionTokens: 1 } },
    });
  });

  it("ends before a stop string, also one that is spread over tokens", async () => {
    const { text } = await ask(TEXT);
    const stop = text.slice(3, 7);
    const stopped = await ask({ ...TEXT, stop: ["never said", stop] });
    expect(stopped.text).toBe(text.slice(0, text.indexOf(stop)));
    expect(stopped.end).toMatchObject({ type: "finished", reason: "stop" });
    const atOnce = await ask({ ...TEXT, stop: [text.slice(0, 1)] });
    expect(atOnce).toMatchObject({ text: "", end: { reason: "stop", usage: { completionTokens: 1 } } });
  });

  it("gives out at its end what was held back for a stop string that did not come", async () => {
    const { text } = await ask(TEXT);
    expect((await ask({ ...TEXT, stop: [`${text.slice(-4)}and more`] })).text).toBe(text);
  });

  it("ends with any of the model's end tokens, which are no text but are counted", async () => {
    await using copy = await ModelCopy.make();
    const greedy = prompts["text"]?.greedy ?? [];
    const end = greedy[9] ?? -1;
    const length = greedy.indexOf(end);
    await copy.editJson("generation_config.json", (settings) => (settings["eos_token_id"] = [2, end]));
    await using stopping = await Engine.load(copy.folder, { threads: 1 });
    const answer = await read(stopping.generate(TEXT));
    // Half a character stood before the end; what was held back comes with it, as U+FFFD.
    expect(answer.tokens).toEqual(greedy.slice(0, length + 1));
    expect(answer.text).toMatch(/[^\ufffd]\ufffd$/);
    expect(answer.end).toMatchObject({ reason: "stop", usage: { completionTokens: length + 1 } });
  });
});

describe("a seed", () => {
  it("makes an answer repeatable, another seed another one", async () => {
    const [first, again, other] = [await ask(sampled(7)), await ask(sampled(7)), await ask(sampled(8))];
    expect(again.tokens).toEqual(first.tokens);
    expect(other.tokens).not.toEqual(first.tokens);
    expect(first.tokens).not.toEqual((await ask(IMAGE)).tokens);
  });

  it("is drawn anew for each request that names none", async () => {
    const answers = await Promise.all([ask(sampled()), ask(sampled()), ask(sampled())]);
    expect(new Set(answers.map(({ tokens }) => tokens.join())).size).toBe(3);
  });
});

describe("requests", () => {
  it("at the same time get the same answers as one after another, first come first served", async () => {
    const requests = [sampled(1), { ...TEXT, temperature: 1, seed: 2 }, sampled(3), TEXT, IMAGE];
    const alone: Answer[] = [];
    for (const request of requests) alone.push(await ask(request));
    await using queue = await Engine.load(MODEL, { threads: 1, maxRunning: 1 });
    // Its processes for images take a while to start.
    await read(queue.generate(IMAGE));
    const order: number[] = [];
    const together = await Promise.all(
      requests.map(async (request, i) => {
        const answer = await read(queue.generate(request));
        order.push(i);
        return answer;
      }),
    );
    expect(together.map(({ tokens }) => tokens)).toEqual(alone.map(({ tokens }) => tokens));
    expect(together.map(({ end }) => end.type)).toEqual(requests.map(() => "finished"));
    // Those whose images are not decoded yet may be overtaken.
    expect(order.filter((i) => requests[i]?.images.length === 0)).toEqual([1, 3]);
    expect(queue.occupancy).toEqual({ running: 0, waiting: 0, slots: 1 });
  });

  it("are served in the order in which they came, though one's image takes time to decode", async () => {
    await using queue = await Engine.load(MODEL, { threads: 1, maxRunning: 1 });
    // Its processes for images take a while to start.
    await read(queue.generate(IMAGE));
    const bothAreReady = Promise.withResolvers<void>();
    using _runs = watchRuns((count) => (count === 1 ? bothAreReady.promise : undefined));
    const order: string[] = [];
    const noted = async (name: string, request: GenerateRequest): Promise<void> => {
      await read(queue.generate({ ...request, maxTokens: 2 }));
      order.push(name);
    };
    const answers = [noted("running", TEXT), noted("image", IMAGE), noted("text", TEXT)];
    await pixelValues(await decodeImage(one), (await openModelFolder(MODEL)).description.pixels);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(queue.occupancy).toEqual({ running: 1, waiting: 2, slots: 1 });
    bothAreReady.resolve();
    await Promise.all(answers);
    expect(order).toEqual(["running", "image", "text"]);
  });

  it("that need a larger cache than those before do not disturb later ones", async () => {
    await using fresh = await Engine.load(MODEL, { threads: 1 });
    const short = await read(fresh.generate({ ...TEXT, maxTokens: 5 }));
    const long = await read(fresh.generate({ prompt: TEXT.prompt, images: [], temperature: 0 }));
    expect(long.tokens.slice(0, 5)).toEqual(short.tokens);
    expect((await read(fresh.generate(IMAGE))).tokens).toEqual(prompts["picture"]?.greedy.slice(0, 24));
  });

  it("are served by two engines side by side", async () => {
    const [left, right] = await Promise.all([
      Engine.load(MODEL, { threads: 1 }),
      Engine.load(MODEL, { threads: 1 }),
    ]);
    const answers = await Promise.all([read(left.generate(IMAGE)), read(right.generate(IMAGE))]);
    await left[Symbol.asyncDispose]();
    answers.push(await read(right.generate(IMAGE)));
    await right[Symbol.asyncDispose]();
    for (const { tokens } of answers) expect(tokens).toEqual(prompts["picture"]?.greedy.slice(0, 24));
  });

  it("without a reader are not started", async () => {
    engine.generate(TEXT);
    await new Promise(setImmediate);
    expect(engine.occupancy).toEqual({ running: 0, waiting: 0, slots: 8 });
  });
});
