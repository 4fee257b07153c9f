/** Maps of what a word owes to an image, with the model that is shipped: on images of which it is known where what is. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { Engine, type OcclusionMap, type OcclusionRequest } from "../src/index.ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { read } from "./engine-fixtures.ts";

const ROOT = path.join(import.meta.dirname, "../../..");
const SHIPPED = path.join(ROOT, "packages/demo/model/llava-demo");
const sample = async (name: string): Promise<Uint8Array> =>
  await readFile(path.join(ROOT, "apps/web/src/browser/public/samples", `${name}.png`));
const shapes = await sample("shapes");
const relations = await sample("relations");

let demo: Engine;
beforeAll(async () => {
  demo = await Engine.load(SHIPPED, { threads: 1 });
});
afterAll(async () => {
  await demo[Symbol.asyncDispose]();
});

function wordOf(image: Uint8Array, question: string, answer: string, word: string): OcclusionRequest {
  const start = answer.indexOf(word);
  const messages = [{ role: "user", text: `<image>\n${question}` }] as const;
  return { messages, answer, start, end: start + word.length, images: [image], image: 0 };
}

async function mapOf(engine: Engine, request: OcclusionRequest): Promise<OcclusionMap> {
  for await (const event of engine.occlusionMap(request)) if (event.type === "map") return event.map;
  throw new Error("There was no map.");
}

/** Where the largest value is, as parts of the square from 0 to 1: the middle of its cell. */
function peakOf({ values, edges }: OcclusionMap): { readonly x: number; readonly y: number; drop: number } {
  const middle = (i: number): number => ((edges[i] ?? 0) + (edges[i + 1] ?? 0)) / 2;
  const all = values.flatMap((row, y) =>
    row.map((drop, x) => ({ x: middle(x), y: middle(y), drop: drop ?? -Infinity })),
  );
  return all.reduce((best, each) => (each.drop > best.drop ? each : best));
}

const RED = wordOf(shapes, "What color is the circle?", "The circle is red.", "red");
const SCENE =
  "There is a large yellow star at the top right, a large red circle at the middle left and a small green square at the bottom right.";

describe("the map of a word", () => {
  it("of a colour peaks on what has it, and is flat beside it", async () => {
    const map = await mapOf(demo, RED);
    const { x, y, drop } = peakOf(map);
    // The circle lies at the middle left.
    expect(x).toBeLessThan(1 / 3);
    expect(Math.abs(y - 0.5)).toBeLessThan(1 / 6);
    expect(drop).toBeGreaterThan(1);
    expect(map.values).toHaveLength(8);
    const right = map.values.flatMap((row) => row.slice(4)).map((value) => Math.abs(value ?? Infinity));
    expect(Math.max(...right)).toBeLessThan(drop / 20);
  });

  it.each([
    ["star", 5 / 6, 1 / 6],
    ["red", 1 / 6, 1 / 2],
    ["green", 5 / 6, 5 / 6],
  ])("in a scene of three, %s, peaks on its own object", async (word, x, y) => {
    const peak = peakOf(await mapOf(demo, wordOf(shapes, "Describe the picture.", SCENE, word)));
    expect(Math.hypot(peak.x - x, peak.y - y)).toBeLessThan(1 / 4);
  });

  it.each([
    ["diamond", 5 / 6, 1 / 6],
    ["blue", 1 / 6, 5 / 6],
  ])("in a scene of two, %s, peaks on its own object", async (word, x, y) => {
    const answer =
      "There is a large striped pink diamond at the top right and a large blue square at the bottom left.";
    const peak = peakOf(await mapOf(demo, wordOf(relations, "Describe the picture.", answer, word)));
    expect(Math.hypot(peak.x - x, peak.y - y)).toBeLessThan(1 / 4);
  });

  it("that stands in the question already owes nothing to the image", async () => {
    const { answer, messages } = RED;
    const start = answer.indexOf("circle");
    const map = await mapOf(demo, { ...RED, messages, start, end: start + "circle".length });
    expect(peakOf(map).drop).toBeLessThan(0.05);
  });

  it("asks for the words as the model samples them: the likelihood is that of its own answer", async () => {
    const { messages, images } = RED;
    const logprobs: number[] = [];
    let text = "";
    for await (const event of demo.generate({ prompt: messages, images, temperature: 0, logprobs: 0 })) {
      if (event.type !== "text-delta") continue;
      text += event.text;
      logprobs.push(...(event.logprobs ?? []).map(({ logprob }) => logprob));
    }
    expect(text).toBe(RED.answer);
    const { logprob } = await mapOf(demo, { ...RED, start: 0, end: text.length });
    expect(logprob).toBeCloseTo(
      logprobs.slice(0, -1).reduce((sum, each) => sum + each, logprobs.at(-1) ?? 0),
      3,
    );
  });

  it("is of the image that was asked about", async () => {
    const messages = [{ role: "user", text: "<image>\n<image>\nWhat color is the circle?" }] as const;
    const asked = { ...RED, messages, images: [relations, shapes], cells: 4 };
    const maps = [await mapOf(demo, { ...asked, image: 0 }), await mapOf(demo, { ...asked, image: 1 })];
    expect(maps[0]?.logprob).toBeCloseTo(maps[1]?.logprob ?? NaN, 4);
    expect(maps[0]?.values).not.toEqual(maps[1]?.values);
    expect(maps[0]?.values).toHaveLength(4);
  });
});

describe("a map's runs", () => {
  it("are counted, in turns of at most four", async () => {
    const counts: string[] = [];
    for await (const event of demo.occlusionMap({ ...RED, cells: 4 })) {
      if (event.type === "progress") counts.push(`${event.done} of ${event.total}`);
      expect(demo.queue.running).toBeLessThanOrEqual(1);
    }
    expect(counts).toEqual([0, 1, 5, 9, 10].map((done) => `${done} of 10`));
    expect(demo.queue.running).toBe(0);
  });

  it("leave nothing behind, and take nothing from other requests", async () => {
    const { messages, images } = RED;
    const ask = { prompt: messages, images, temperature: 0 };
    await read(demo.generate(ask));
    const before = demo.holdings;
    await mapOf(demo, RED);
    expect(demo.holdings.featureBytes).toBe(before.featureBytes);
    expect(demo.holdings).toMatchObject({ slotsInUse: 0, featuresInUse: 0 });
    const { end } = await read(demo.generate(ask));
    if (end.type !== "finished") throw new Error("The answer did not end well.");
    expect(end.usage.cachedTokens).toBe(end.usage.promptTokens - 1);
    expect(end.timings.encodeMs).toBe(0);
  });

  it("let a question that comes later go first", async () => {
    const events = demo.occlusionMap(RED);
    await events.next();
    const { text } = await read(demo.generate({ prompt: RED.messages, images: RED.images, temperature: 0 }));
    expect(text).toBe(RED.answer);
    const next = await events.next();
    expect(next.value).toMatchObject({ type: "progress", done: 1 });
    await events.return();
  });

  it("end when their reader leaves, and when the signal aborts", async () => {
    for await (const event of demo.occlusionMap(RED)) if (event.type === "progress" && event.done >= 5) break;
    expect(demo.occupancy).toMatchObject({ running: 0, waiting: 0 });
    const stop = new AbortController();
    const events = demo.occlusionMap(RED, stop.signal);
    await events.next();
    stop.abort();
    await expect(Array.fromAsync(events)).rejects.toMatchObject({ code: "cancelled" });
    expect(demo.occupancy).toMatchObject({ running: 0, waiting: 0 });
  });

  it("end when the engine does", async () => {
    const engine = await Engine.load(SHIPPED, { threads: 1 });
    const events = engine.occlusionMap(RED);
    await events.next();
    const disposal = engine[Symbol.asyncDispose]();
    await expect(Array.fromAsync(events)).rejects.toMatchObject({ code: "shutting_down" });
    await disposal;
  });
});

describe("what cannot be mapped is refused with its field", () => {
  it.each<[Partial<OcclusionRequest>, string, string]>([
    [{ start: -1 }, "invalid_request", "start"],
    [{ end: 99 }, "invalid_request", "start"],
    [{ start: 3, end: 4 }, "invalid_request", "start"],
    [{ image: 1 }, "invalid_request", "image"],
    [{ cells: 1 }, "invalid_request", "cells"],
    [{ cells: 9 }, "invalid_request", "cells"],
    [{ answer: "red ".repeat(90), start: 0, end: 300 }, "invalid_request", "end"],
    [{ answer: "red ".repeat(500), start: 1996, end: 1999 }, "context_length_exceeded", "messages"],
    [{ answer: "red ".repeat(99_999), start: 0, end: 3 }, "context_length_exceeded", "messages"],
  ])("%o", async (change, code, param) => {
    const events = demo.occlusionMap({ ...RED, ...change });
    await expect(Array.fromAsync(events)).rejects.toMatchObject({ code, param });
  });

  it("a context that the images fill, before any image is decoded", async () => {
    const images = Array.from({ length: 9 }, () => shapes.subarray(0, 200));
    const question = `${"<image>".repeat(9)}What color is the circle?`;
    const request = { ...RED, messages: [{ role: "user", text: question }] as const, images };
    await expect(Array.fromAsync(demo.occlusionMap(request))).rejects.toMatchObject({
      code: "context_length_exceeded",
      param: "messages",
    });
  });

  it("also images without a place", async () => {
    const events = demo.occlusionMap({ ...RED, images: [shapes, shapes] });
    await expect(Array.fromAsync(events)).rejects.toMatchObject({ code: "image_count_mismatch" });
  });
});
