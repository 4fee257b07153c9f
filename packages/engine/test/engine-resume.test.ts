/** An answer that breaks off after any of its tokens and is continued elsewhere is the answer that nothing disturbed. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { Engine, type EngineEvent, type GenerateRequest } from "../src/index.ts";
import { array, assert, asyncProperty, constantFrom, integer } from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MODEL, ModelCopy, one, read, readAll, readError, two, watchRuns } from "./engine-fixtures.ts";

const SHIPPED = path.join(import.meta.dirname, "../../demo/model/llava-demo");
const shape = await readFile(
  path.join(import.meta.dirname, "../../../apps/web/src/browser/public/samples/shapes.png"),
);

const TEXT: GenerateRequest = { prompt: "USER: Name a color. ASSISTANT:", images: [], maxTokens: 24 };
const IMAGES: GenerateRequest = {
  prompt: [{ role: "user", text: [{ type: "image" }, { type: "text", text: "\n" }, { type: "image" }] }],
  images: [one, two],
  maxTokens: 12,
};

let tiny: Engine;
let demo: Engine;
beforeAll(async () => {
  tiny = await Engine.load(MODEL, { threads: 1 });
  demo = await Engine.load(SHIPPED, { threads: 1 });
});
afterAll(async () => {
  await tiny[Symbol.asyncDispose]();
  await demo[Symbol.asyncDispose]();
});

interface Delta {
  readonly text: string;
  readonly tokens: readonly number[];
}

function deltasOf(events: readonly EngineEvent[]): readonly Delta[] {
  return events.filter((event) => event.type === "text-delta");
}

const tokensOf = (deltas: readonly Delta[]): readonly number[] => deltas.flatMap(({ tokens }) => tokens);
const textOf = (deltas: readonly Delta[]): string => deltas.map(({ text }) => text).join("");

/** What a reader has when `count` tokens were consumed: a delta comes with its last token. */
function saidAfter(deltas: readonly Delta[], count: number): string {
  let consumed = 0;
  return textOf(deltas.filter(({ tokens }) => (consumed += tokens.length) <= count));
}

/** The end of an answer without its timings, and without what the cache happened to hold. */
function endOf(events: readonly EngineEvent[]): object {
  const end = events.at(-1);
  if (end?.type !== "finished") throw new Error(`The answer ended with ${end?.type}.`);
  const { cachedTokens: _, ...usage } = end.usage;
  return { reason: end.reason, usage };
}

/** Breaks the answer off after 0, 1, … all of its tokens, and compares. Returns how it ends. */
async function expectUnbroken(engine: Engine, request: GenerateRequest): Promise<object> {
  const whole = await readAll(engine.generate(request));
  const deltas = deltasOf(whole);
  const tokens = tokensOf(deltas);
  for (let count = 0; count <= tokens.length; count++) {
    const resume = { tokens: tokens.slice(0, count) };
    const rest = await readAll(engine.generate({ ...request, resume }));
    const more = deltasOf(rest);
    expect(saidAfter(deltas, count) + textOf(more)).toBe(textOf(deltas));
    expect([...resume.tokens, ...tokensOf(more)]).toEqual(tokens);
    expect(endOf(rest)).toEqual(endOf(whole));
  }
  return endOf(whole);
}

describe("a continued answer is the undisturbed one after every cut", () => {
  it("when the most likely token is taken, with and without images", async () => {
    await expectUnbroken(tiny, { ...TEXT, temperature: 0 });
    await expectUnbroken(tiny, { ...IMAGES, temperature: 0 });
  });

  it("when it is sampled with a seed", async () => {
    await assert(
      asyncProperty(
        integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        constantFrom(0.4, 1, 2),
        constantFrom(0.6, 1),
        async (seed, temperature, topP) => {
          await expectUnbroken(tiny, { ...TEXT, seed, temperature, topP, maxTokens: 12 });
        },
      ),
      { numRuns: 8 },
    );
  });

  it("when stop strings hold text back, end it, or never come", async () => {
    const { text } = await read(tiny.generate({ ...TEXT, temperature: 0 }));
    const someStops = array(integer({ min: 0, max: text.length - 2 }), { minLength: 1, maxLength: 3 });
    await assert(
      asyncProperty(someStops, integer({ min: 1, max: 6 }), async (starts, length) => {
        const stop = starts.map((start) => text.slice(start, start + length));
        await expectUnbroken(tiny, { ...TEXT, temperature: 0, stop });
        await expectUnbroken(tiny, { ...TEXT, temperature: 0, stop: stop.map((found) => `${found}…`) });
      }),
      { numRuns: 4 },
    );
  });

  it("when an end token ends it", async () => {
    const { tokens } = await read(tiny.generate({ ...TEXT, temperature: 0 }));
    await using copy = await ModelCopy.make();
    await copy.editJson("generation_config.json", (settings) => (settings["eos_token_id"] = tokens[9]));
    await using ending = await Engine.load(copy.folder, { threads: 1 });
    expect(await expectUnbroken(ending, { ...TEXT, temperature: 0 })).toMatchObject({ reason: "stop" });
  });

  it("of the model that is shipped", async () => {
    const prompt = [{ role: "user", text: "<image>\nWhat is in the picture?" }] as const;
    const asked = { prompt, images: [shape] };
    await expectUnbroken(demo, { ...asked, temperature: 0 });
    await expectUnbroken(demo, { ...asked, temperature: 1.5, seed: 11, maxTokens: 24 });
    const cut = await expectUnbroken(demo, { ...asked, temperature: 0, maxTokens: 3 });
    expect(cut).toMatchObject({ reason: "length" });
  });
});

it("what has ended already is not computed again", async () => {
  const { tokens, end } = await read(tiny.generate({ ...TEXT, temperature: 0, maxTokens: 5 }));
  using runs = watchRuns();
  const again = await readAll(tiny.generate({ ...TEXT, temperature: 0, maxTokens: 5, resume: { tokens } }));
  expect(again).toMatchObject([{ type: "finished", reason: "length", usage: { completionTokens: 5 } }]);
  expect(end).toMatchObject({ reason: "length" });
  expect(runs.count).toBe(0);
  expect(tiny.occupancy).toMatchObject({ running: 0, waiting: 0 });
});

it.each([[-1], [0.5], [1_000_000]])("the token %d, which the model lacks, is refused", async (id) => {
  const error = await readError(tiny.generate({ ...TEXT, resume: { tokens: [id] } }));
  expect(error).toMatchObject({ code: "invalid_request", message: expect.stringContaining(`${id}`) });
});
