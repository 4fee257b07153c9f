/** A client that leaves at any time: the engine stops within one step, the slot is free, and the next request is answered. */
import { getEventListeners } from "node:events";
import { Engine, type EngineEvent, type GenerateRequest } from "../src/index.ts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { uniformAt } from "../src/sampling/sampler.ts";
import { MODEL, one, read, readAll, readError, watchRuns } from "./engine-fixtures.ts";

const LONG: GenerateRequest = { prompt: "USER: Name a color. ASSISTANT:", images: [], temperature: 0 };
const IMAGE: GenerateRequest = {
  prompt: "USER: <image>\nWhat is this? ASSISTANT:",
  images: [one],
  temperature: 0,
};
const FREE = { running: 0, waiting: 0, slots: 1 };

let engine: Engine;
beforeEach(async () => {
  engine = await Engine.load(MODEL, { threads: 1, maxRunning: 1, maxWaiting: 2 });
});
afterEach(async () => {
  await engine[Symbol.asyncDispose]();
});

async function expectServing(): Promise<void> {
  await vi.waitFor(() => expect(engine.occupancy).toEqual(FREE));
  expect(await read(engine.generate({ ...LONG, maxTokens: 3 }))).toMatchObject({ end: { reason: "length" } });
}

/** Reads until `count` deltas have come. */
async function readSome(events: AsyncIterator<EngineEvent>, count: number): Promise<void> {
  for (let i = 0; i < count; i++)
    expect(await events.next()).toMatchObject({ value: { type: "text-delta" } });
}

describe("a client that aborts", () => {
  it("in the middle of an answer stops the engine within one step", async () => {
    using runs = watchRuns();
    const client = new AbortController();
    const events = engine.generate(LONG, client.signal)[Symbol.asyncIterator]();
    await readSome(events, 3);
    client.abort();
    const atAbort = runs.count;
    const rest = await readAll({ [Symbol.asyncIterator]: () => events });
    expect(rest.at(-1)).toMatchObject({ type: "error", error: { code: "cancelled" } });
    expect(rest.filter(({ type }) => type !== "text-delta")).toHaveLength(1);
    await vi.waitFor(() => expect(engine.occupancy).toEqual(FREE));
    await new Promise((resolve) => setTimeout(resolve, 50));
    // One may have been under way.
    expect(runs.count - atAbort).toBeLessThanOrEqual(1);
    await expectServing();
  });

  // A prompt with an image: encoder, prompt, then one run a token.
  it.each([
    ["the image is encoded", 1],
    ["the prompt is processed", 2],
    ["a token is computed", 5],
  ])("while %s", async (_, at) => {
    const client = new AbortController();
    using runs = watchRuns((count) => {
      if (count === at) client.abort();
    });
    expect(await readError(engine.generate(IMAGE, client.signal))).toMatchObject({ code: "cancelled" });
    await vi.waitFor(() => expect(engine.occupancy).toEqual(FREE));
    expect(runs.count).toBe(at);
    await expectServing();
  });

  it("while its image is decoded", async () => {
    const client = new AbortController();
    const answer = readError(engine.generate(IMAGE, client.signal));
    expect(engine.occupancy).toEqual({ running: 0, waiting: 1, slots: 1 });
    client.abort();
    expect(await answer).toMatchObject({ code: "cancelled" });
    await expectServing();
  });

  it("while it waits leaves the queue at once, and the others their places", async () => {
    const running = engine.generate(LONG)[Symbol.asyncIterator]();
    await readSome(running, 1);
    const client = new AbortController();
    const leaving = readError(engine.generate(LONG, client.signal));
    const staying = read(engine.generate({ ...LONG, maxTokens: 2 }));
    // Both are prepared and in the queue.
    await new Promise(setImmediate);
    expect(engine.occupancy).toMatchObject({ running: 1, waiting: 2 });
    client.abort();
    expect(engine.occupancy).toMatchObject({ running: 1, waiting: 1 });
    expect(await leaving).toMatchObject({ code: "cancelled" });
    await running.return?.();
    expect(await staying).toMatchObject({ end: { type: "finished" } });
    await expectServing();
  });

  it("before it asks costs nothing", async () => {
    using runs = watchRuns();
    expect(await readError(engine.generate(IMAGE, AbortSignal.abort()))).toMatchObject({
      code: "cancelled",
    });
    expect(runs.count).toBe(0);
    await expectServing();
  });

  it("after its answer is no matter", async () => {
    const client = new AbortController();
    expect(await read(engine.generate({ ...LONG, maxTokens: 2 }, client.signal))).toMatchObject({
      end: { reason: "length" },
    });
    client.abort();
    await expectServing();
  });
});

describe("a reader that stops", () => {
  it("in the middle of an answer stops the engine within one step", async () => {
    using runs = watchRuns();
    let atBreak = 0;
    for await (const event of engine.generate(IMAGE)) {
      expect(event.type).toBe("text-delta");
      atBreak = runs.count;
      break;
    }
    await vi.waitFor(() => expect(engine.occupancy).toEqual(FREE));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(runs.count - atBreak).toBeLessThanOrEqual(1);
    await expectServing();
  });

  it("while it waits for an event need not wait for it", async () => {
    const running = engine.generate(LONG)[Symbol.asyncIterator]();
    await readSome(running, 1);
    const waiting = engine.generate(LONG)[Symbol.asyncIterator]();
    const pending = waiting.next();
    await vi.waitFor(() => expect(engine.occupancy.waiting).toBe(1));
    await waiting.return?.();
    expect(engine.occupancy).toMatchObject({ running: 1, waiting: 0 });
    expect(await pending).toMatchObject({ value: { type: "error", error: { code: "cancelled" } } });
    await running.return?.();
    await expectServing();
  });

  it("that stops reading delays no other request", async () => {
    const silent = engine.generate({ ...LONG, maxTokens: 5 })[Symbol.asyncIterator]();
    await readSome(silent, 1);
    await expectServing();
    const rest = await readAll({ [Symbol.asyncIterator]: () => silent });
    expect(rest.map(({ type }) => type)).toEqual([
      "text-delta",
      "text-delta",
      "text-delta",
      "text-delta",
      "finished",
    ]);
  });
});

it("no request leaves a listener on its caller's signal", async () => {
  const client = new AbortController();
  await read(engine.generate({ ...IMAGE, maxTokens: 2 }, client.signal));
  await readError(engine.generate({ ...LONG, prompt: "" }, client.signal));
  for await (const _ of engine.generate(LONG, client.signal)) break;
  const listeners = getEventListeners(client.signal, "abort");
  expect(listeners).toEqual([]);
});

it("many that leave at any time leave nothing behind, and those that stay get their answers", async () => {
  await using busy = await Engine.load(MODEL, { threads: 1, maxRunning: 1 });
  const alone = await read(busy.generate({ ...LONG, maxTokens: 12 }));
  const clients = Array.from({ length: 24 }, async (_, i) => {
    const request = i % 2 === 0 ? { ...IMAGE, maxTokens: 12 } : { ...LONG, maxTokens: 12 };
    const client = new AbortController();
    const events = busy.generate(request, client.signal);
    // A third aborts after some milliseconds, a third breaks off after some events, a third stays.
    if (i % 3 === 2) return await read(events);
    if (i % 3 === 1) setTimeout(() => client.abort(), uniformAt(1, i) * 60);
    const most = i % 3 === 1 ? Infinity : uniformAt(2, i) * 12;
    let seen = 0;
    for await (const _event of events) if (++seen > most) break;
    return undefined;
  });
  const answers = await Promise.all(clients);
  expect(busy.occupancy).toMatchObject({ waiting: 0 });
  await vi.waitFor(() => expect(busy.occupancy).toEqual(FREE));
  for (const answer of answers) if (answer) expect(answer.end).toMatchObject({ type: "finished" });
  expect(answers[5]?.tokens).toEqual(alone.tokens);
  expect((await read(busy.generate({ ...LONG, maxTokens: 12 }))).tokens).toEqual(alone.tokens);
});

describe("a full queue", () => {
  it("refuses one more, until there is room again", async () => {
    const readers = [LONG, IMAGE, LONG].map((request) => engine.generate({ ...request, maxTokens: 20 }));
    const answers = readers.map(read);
    const refused = await readError(engine.generate(LONG));
    expect(refused).toMatchObject({
      code: "overloaded",
      message: expect.stringContaining("requests run"),
    });
    for (const answer of answers) expect(await answer).toMatchObject({ end: { type: "finished" } });
    await expectServing();
  });

  it("may have no places at all: then one runs and none waits", async () => {
    await using strict = await Engine.load(MODEL, { threads: 1, maxRunning: 1, maxWaiting: 0 });
    const running = read(strict.generate({ ...LONG, maxTokens: 20 }));
    expect(await readError(strict.generate(LONG))).toMatchObject({ code: "overloaded" });
    expect(await running).toMatchObject({ end: { type: "finished" } });
    expect(await read(strict.generate({ ...LONG, maxTokens: 2 }))).toMatchObject({
      end: { type: "finished" },
    });
  });
});

describe("an engine that shuts down", () => {
  it("ends what runs, waits and is prepared, and takes nothing new", async () => {
    const running = engine.generate(LONG)[Symbol.asyncIterator]();
    await readSome(running, 2);
    const waiting = readError(engine.generate(LONG));
    const preparing = readError(engine.generate(IMAGE));
    await Promise.all([engine[Symbol.asyncDispose](), engine[Symbol.asyncDispose]()]);
    const rest = await readAll({ [Symbol.asyncIterator]: () => running });
    expect(rest.at(-1)).toMatchObject({ type: "error", error: { code: "shutting_down" } });
    expect(await waiting).toMatchObject({ code: "shutting_down" });
    expect(await preparing).toMatchObject({ code: "shutting_down" });
    expect(await readError(engine.generate(LONG))).toMatchObject({ code: "shutting_down" });
    expect(engine.occupancy).toEqual(FREE);
  });

  it("does so in the middle of a run", async () => {
    let disposal: Promise<void> | undefined;
    using runs = watchRuns((count) => {
      if (count === 2) disposal = engine[Symbol.asyncDispose]();
    });
    expect(await readError(engine.generate(IMAGE))).toMatchObject({ code: "shutting_down" });
    await disposal;
    expect(runs.count).toBe(2);
  });
});
