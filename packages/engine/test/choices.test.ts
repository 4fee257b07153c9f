/** Tests the sampling settings of requests through Engine.generate, on a tiny model with weights. */
import { Engine, type GenerateRequest } from "../src/index.ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MODEL, one, read, readAll, readError } from "./engine-fixtures.ts";

const ASKED: GenerateRequest = {
  prompt: "USER: <image> Name a color. ASSISTANT:",
  images: [one],
  maxTokens: 16,
  temperature: 0,
};

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.load(MODEL, { threads: 1 });
});
afterAll(() => engine[Symbol.asyncDispose]());

async function answer(fields: Partial<GenerateRequest>): Promise<{
  readonly text: string;
  readonly tokens: readonly number[];
  readonly reason: string;
  readonly count: number;
}> {
  const { text, tokens, end } = await read(engine.generate({ ...ASKED, ...fields }));
  if (end.type !== "finished") throw end.error;
  return { text, tokens, reason: end.reason, count: end.usage.completionTokens };
}

describe("tokens", () => {
  it("that the request stops at end the answer and are not shown", async () => {
    const plain = await answer({});
    const stop = plain.tokens[5] ?? 0;
    const at = plain.tokens.indexOf(stop);
    const cut = await answer({ stopTokenIds: [stop] });
    expect(cut).toMatchObject({ reason: "stop", count: at + 1 });
    expect(plain.text.startsWith(cut.text)).toBe(true);
  });

  it("end nothing below min_tokens, and stop strings are text so far", async () => {
    const bias = new Map([[70, 100]]);
    const [letter = ""] = (await answer({ logitBias: bias })).text;
    const fields = { logitBias: bias, stop: [letter] };
    expect(await answer(fields)).toMatchObject({ text: "", reason: "stop", count: 1 });
    expect(await answer({ ...fields, minTokens: 5 })).toMatchObject({
      text: letter.repeat(5),
      reason: "stop",
      count: 6,
    });
    const ended = await answer({ stopTokenIds: [70], logitBias: bias, minTokens: 5 });
    expect(ended).toMatchObject({ reason: "stop", count: 6 });
    expect(ended.tokens.slice(0, 5)).not.toContain(70);
  });

  it("that end an answer are ignored with ignore_eos", async () => {
    const eos = 2;
    const bias = new Map([[eos, 100]]);
    const ended = await answer({ logitBias: bias });
    if (ended.reason !== "stop") throw new Error("The model's end token is another one.");
    expect(ended.count).toBe(1);
    expect(await answer({ logitBias: bias, ignoreEos: true })).toMatchObject({ reason: "length", count: 16 });
  });

  it("that are in the answer are penalized", async () => {
    const repeats = (tokens: readonly number[]): number => tokens.length - new Set(tokens).size;
    const loud = { maxTokens: 40, logitBias: new Map([[70, 3]]) };
    const plain = await answer(loud);
    for (const fields of [{ frequencyPenalty: 2 }, { presencePenalty: 2 }, { repetitionPenalty: 3 }])
      expect(repeats((await answer({ ...loud, ...fields })).tokens)).toBeLessThan(repeats(plain.tokens));
  });
});

describe("logprobs", () => {
  it("come with the text of their tokens, one for each", async () => {
    const events = await readAll(engine.generate({ ...ASKED, logprobs: 2 }));
    const plain = await answer({});
    const deltas = events.filter((event) => event.type === "text-delta");
    for (const { tokens, logprobs } of deltas) {
      expect(logprobs?.map(({ id }) => id)).toEqual(tokens);
      for (const { id, logprob, top } of logprobs ?? []) {
        expect(top[0]).toEqual({ id, logprob });
        expect(top).toHaveLength(2);
        expect(logprob).toBeLessThanOrEqual(0);
      }
    }
    expect(deltas.flatMap(({ tokens }) => tokens)).toEqual(plain.tokens);
  });
});

describe("a grammar", () => {
  const grammar = {
    type: "json_schema",
    schema: {
      type: "object",
      properties: { name: { type: "string", maxLength: 8 }, ok: { type: "boolean" } },
      required: ["name", "ok"],
    },
  } as const;

  it("makes JSON of any model's tokens", async () => {
    for (let seed = 0; seed < 8; seed++) {
      const { text, reason } = await answer({ grammar, temperature: 1, seed, maxTokens: 120 });
      expect(reason, text).toBe("stop");
      expect(JSON.parse(text)).toEqual({ name: expect.any(String), ok: expect.any(Boolean) });
    }
  });

  it("belongs to one answer: others go on without", async () => {
    const plain = await answer({ temperature: 1, seed: 4 });
    const [json, again] = await Promise.all([
      answer({ grammar, temperature: 1, seed: 4, maxTokens: 120 }),
      answer({ temperature: 1, seed: 4 }),
    ]);
    expect(again).toEqual(plain);
    expect(() => JSON.parse(json.text)).not.toThrow();
  });

  it("leaves nothing behind when its reader leaves", async () => {
    for (let i = 0; i < 12; i++) {
      const schema = { enum: [`value ${i}`] };
      for await (const _ of engine.generate({ ...ASKED, grammar: { type: "json_schema", schema } })) break;
    }
    const left = new AbortController();
    const events = engine.generate({ ...ASKED, grammar }, left.signal);
    left.abort();
    expect(await readError(events)).toMatchObject({ code: "cancelled" });
    expect((await answer({ grammar: { type: "json" }, maxTokens: 4 })).text).toMatch(/^\{/);
  });
});

it.each<[Partial<GenerateRequest>, string]>([
  [{ minP: 2 }, "min_p is 2, but it must be from 0 to 1."],
  [{ repetitionPenalty: 0 }, "repetition_penalty is 0, but it must be above 0, up to 100."],
  [{ presencePenalty: Number.NaN }, "presence_penalty is NaN, but it must be from -2 to 2."],
  [{ frequencyPenalty: 3 }, "frequency_penalty is 3, but it must be from -2 to 2."],
  [
    { logitBias: new Map([[1e9, 1]]) },
    "a token of logit_bias is 1000000000, but it must be a token of the model",
  ],
  [{ logitBias: new Map([[5, 200]]) }, "logit_bias of token 5 is 200, but it must be from -100 to 100."],
  [{ stopTokenIds: [-1] }, "a token of stop_token_ids is -1, but it must be a token of the model"],
  [{ minTokens: 17 }, "min_tokens is 17, but it must be at most max_tokens, which is 16."],
  [{ logprobs: 21 }, "top_logprobs is 21, but it must be a whole number from 0 to 20."],
  [{ grammar: { type: "json" }, ignoreEos: true }, "leave out ignore_eos or response_format"],
])("%j is refused", async (fields, sentence) => {
  expect(await readError(engine.generate({ ...ASKED, ...fields }))).toMatchObject({
    code: "invalid_request",
    message: expect.stringContaining(sentence),
  });
});
