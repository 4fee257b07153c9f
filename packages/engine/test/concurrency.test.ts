/** Many at once: whatever runs beside a request, is remembered, guessed, moved or thrown out of memory, its answer stays. */
import path from "node:path";
import { openModelFolder } from "@llava/models";
import { array, assert, asyncProperty, boolean, constantFrom, integer, option, record } from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Decoder } from "../src/runner/decoder.ts";
import { Engine, type GenerateRequest } from "../src/index.ts";
import { MODEL, one, read, readAll, two } from "./engine-fixtures.ts";

const SHIPPED = path.join(import.meta.dirname, "../../demo/model/llava-demo");

const QUESTIONS = [
  { prompt: "USER: <image>\nWhat is this? ASSISTANT:", images: [one] },
  { prompt: "USER: <image>\nWhat is this? ASSISTANT:", images: [two] },
  { prompt: "USER: <image>\nWhat color is the circle? ASSISTANT:", images: [one] },
  { prompt: "USER: <image>\n<image>\nWhich is larger? ASSISTANT:", images: [two, one] },
  { prompt: "USER: Name a color. ASSISTANT:", images: [] },
  { prompt: "USER: Name a color. ASSISTANT: red USER: And another one? ASSISTANT:", images: [] },
] as const;

const someRequest = record({
  question: constantFrom(...QUESTIONS),
  maxTokens: integer({ min: 1, max: 24 }),
  seed: integer({ min: 0, max: 3 }),
  isGreedy: boolean(),
}).map(({ question, maxTokens, seed, isGreedy }): GenerateRequest => {
  const sampling = isGreedy ? { temperature: 0 } : { temperature: 0.7, topP: 0.9, seed };
  return { ...question, maxTokens, ...sampling };
});

/** Bytes of keys and values of one position of the tiny model. */
async function bytesOfPosition(): Promise<number> {
  const { layers, kvHeads, headSize } = (await openModelFolder(MODEL)).description.text;
  return 2 * layers * kvHeads * headSize * 4;
}

describe.each([
  ["a tiny model in float32", MODEL, "float32"],
  ["the shipped model in float32", SHIPPED, "float32"],
  ["a tiny model in float16", MODEL, "float16"],
  ["the shipped model in float16", SHIPPED, "float16"],
] as const)("%s", (_, folder, computeType) => {
  let alone: Engine;
  const answers = new Map<string, Promise<readonly number[]>>();
  beforeAll(async () => {
    const options = { threads: 1, maxRunning: 1, prefixCache: false, featureBytes: 0, computeType };
    alone = await Engine.load(folder, options);
  });
  afterAll(async () => await alone[Symbol.asyncDispose]());

  /** The answer of an engine that computes one after another and remembers nothing. */
  async function expected(request: GenerateRequest): Promise<readonly number[]> {
    const key = JSON.stringify({ ...request, images: request.images.map((image) => image === one) });
    const known = answers.get(key);
    if (known) return await known;
    const answer = read(alone.generate(request)).then(({ tokens }) => tokens);
    answers.set(key, answer);
    return await answer;
  }

  it("answers a batch as it answers each alone, whichever is cancelled", async () => {
    await using many = await Engine.load(folder, { threads: 2, maxRunning: 4, computeType });
    const someClient = record({ request: someRequest, leaveAfter: option(integer({ min: 0, max: 6 })) });
    await assert(
      asyncProperty(array(someClient, { minLength: 1, maxLength: 8 }), async (clients) => {
        const done = await Promise.all(
          clients.map(async ({ request, leaveAfter }) => await readSome(many, request, leaveAfter)),
        );
        for (const [i, { request, leaveAfter }] of clients.entries()) {
          const whole = await expected(request);
          if (leaveAfter === null) expect(done[i]).toEqual(whole);
          else expect(whole.slice(0, done[i]?.length)).toEqual(done[i]);
        }
        await vi.waitFor(() => expect(many.occupancy).toEqual({ running: 0, waiting: 0, slots: 4 }));
      }),
      { numRuns: folder === MODEL ? 40 : 6 },
    );
  });
});

it.each(["int8", "int4"] as const)("%s weights answer a batch as they answer each alone", async (dtype) => {
  await using many = await Engine.load(SHIPPED, { threads: 2, maxRunning: 4, dtype });
  await using one = await Engine.load(SHIPPED, { threads: 2, maxRunning: 1, prefixCache: false, dtype });
  const requests = QUESTIONS.map((question): GenerateRequest => ({ ...question, temperature: 0 }));
  const together = await Promise.all(requests.map(async (request) => await read(many.generate(request))));
  for (const [i, request] of requests.entries())
    expect(together[i]?.tokens).toEqual((await read(one.generate(request))).tokens);
});

describe("memory for fewer than want to run", () => {
  it("changes no answer: the last one waits, and goes on where it was", async () => {
    const position = await bytesOfPosition();
    const requests = QUESTIONS.map((question): GenerateRequest => ({ ...question, temperature: 0 }));
    await using roomy = await Engine.load(MODEL, { threads: 1 });
    const wanted = await Promise.all(requests.map(async (request) => await read(roomy.generate(request))));
    // The whole context of one sequence is 192 positions; three rows of them do not fit.
    await using tight = await Engine.load(MODEL, { threads: 1, cacheBytes: 2 * 192 * position });
    const answers = await Promise.all(requests.map(async (request) => await read(tight.generate(request))));
    expect(answers.map(({ tokens }) => tokens)).toEqual(wanted.map(({ tokens }) => tokens));
    expect(answers.map(({ end }) => end.type)).toEqual(requests.map(() => "finished"));
  });

  it("that is too little for one alone is refused with the numbers, and the next is served", async () => {
    const position = await bytesOfPosition();
    await using tiny = await Engine.load(MODEL, { threads: 1, cacheBytes: 191 * position });
    const { end } = await read(tiny.generate({ ...QUESTIONS[0], temperature: 0 }));
    expect(end).toMatchObject({
      type: "error",
      error: {
        code: "out_of_memory",
        message: expect.stringMatching(/needs \d+ MiB .* the limit is \d+ MiB/),
      },
    });
    expect(tiny.occupancy).toEqual({ running: 0, waiting: 0, slots: 8 });
  });
});

describe("the cache", () => {
  it("spares the second question on an image its encoder and nearly all of its prompt", async () => {
    await using engine = await Engine.load(MODEL, { threads: 1 });
    const [first, , second] = QUESTIONS;
    const before = await read(engine.generate({ ...first, temperature: 0, maxTokens: 4 }));
    const after = await read(engine.generate({ ...second, temperature: 0, maxTokens: 4 }));
    expect(before.end).toMatchObject({ usage: { cachedTokens: 0 } });
    expect(after.end).toMatchObject({ timings: { encodeMs: 0 } });
    if (after.end.type !== "finished") throw new Error("It ended with an error.");
    expect(after.end.usage.cachedTokens).toBeGreaterThan(16);
    expect(after.end.usage.cachedTokens).toBeLessThan(after.end.usage.promptTokens);
  });

  it("tells two images apart where the words are the same", async () => {
    await using engine = await Engine.load(MODEL, { threads: 1 });
    await using other = await Engine.load(MODEL, { threads: 1 });
    const request = { ...QUESTIONS[1], temperature: 0, maxTokens: 12 };
    await read(engine.generate({ ...QUESTIONS[0], temperature: 0 }));
    expect((await read(engine.generate(request))).tokens).toEqual(
      (await read(other.generate(request))).tokens,
    );
  });

  it("is shared by equal requests at the same time", async () => {
    await using engine = await Engine.load(MODEL, { threads: 1 });
    const request = { ...QUESTIONS[0], temperature: 0, maxTokens: 6 };
    const all = await Promise.all([1, 2, 3, 4].map(async () => await read(engine.generate(request))));
    expect(new Set(all.map(({ tokens }) => tokens.join())).size).toBe(1);
    const cached = all.map(({ end }) => (end.type === "finished" ? end.usage.cachedTokens : -1));
    expect(cached.filter((count) => count > 16)).toHaveLength(3);
  });
});

describe("a run that fails", () => {
  it("ends the requests that were in it, and no others", async () => {
    await using engine = await Engine.load(MODEL, { threads: 1 });
    const running = engine.generate({ ...QUESTIONS[4], temperature: 1, seed: 1, maxTokens: 60 });
    await running.next();
    // oxlint-disable-next-line typescript/unbound-method -- called on its decoder below
    const original = Decoder.prototype.prefill;
    const prefill = vi.spyOn(Decoder.prototype, "prefill").mockImplementation(async function poisoned(
      this: Decoder,
      chunk,
      signal,
    ) {
      if (chunk.features) throw new Error("poisoned");
      return await original.call(this, chunk, signal);
    });
    const poisoned = await readAll(engine.generate({ ...QUESTIONS[0], temperature: 0 }));
    prefill.mockRestore();
    expect(poisoned).toMatchObject([{ type: "error", error: { code: "internal" } }]);
    expect((await readAll(running)).at(-1)).toMatchObject({ type: "finished" });
    const again = await read(engine.generate({ ...QUESTIONS[0], temperature: 0, maxTokens: 3 }));
    expect(again.end).toMatchObject({ type: "finished", usage: { cachedTokens: 0 } });
  });
});

async function readSome(
  engine: Engine,
  request: GenerateRequest,
  leaveAfter: number | null,
): Promise<readonly number[]> {
  const tokens: number[] = [];
  let deltas = 0;
  for await (const event of engine.generate(request)) {
    if (event.type === "error") throw event.error;
    if (event.type !== "text-delta") continue;
    tokens.push(...event.tokens);
    deltas += 1;
    if (leaveAfter !== null && deltas >= leaveAfter) break;
  }
  return tokens;
}
