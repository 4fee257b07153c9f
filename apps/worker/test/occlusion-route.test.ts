/** Maps of what a word owes to an image, over real HTTP, of the model that is shipped. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  readBody,
  readSse,
  type OcclusionMapBody,
  type OcclusionMapEvent,
  type OcclusionMapResult,
} from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LocalBackend } from "../src/backends/local-backend.ts";
import { buildApp } from "../src/worker-app.ts";
import { WorkerService } from "../src/service/worker-service.ts";

const ROOT = join(import.meta.dirname, "../../..");
let backend: LocalBackend;
let service: WorkerService;
let app: FastifyInstance;
let url: string;
let image: string;
beforeAll(async () => {
  backend = await LocalBackend.load(join(ROOT, "packages/demo/model/llava-demo"), {
    threads: 1,
    maxRunning: 2,
    maxWaiting: 4,
  });
  service = new WorkerService({ backend, modelName: backend.card.name });
  app = buildApp(service, pino({ enabled: false }));
  url = await app.listen({ host: "127.0.0.1", port: 0 });
  const png = await readFile(join(ROOT, "apps/web/src/browser/public/samples/shapes.png"));
  image = `data:image/png;base64,${png.toString("base64")}`;
});
afterAll(async () => {
  await app.close();
  await backend[Symbol.asyncDispose]();
});

const ANSWER = "The circle is red.";

function asked(change: Partial<OcclusionMapBody> = {}): OcclusionMapBody {
  const content = [
    { type: "image_url", image_url: { url: image } },
    { type: "text", text: "What color is the circle?" },
  ] as const;
  const messages = [{ role: "user", content }] as const;
  return { model: backend.card.name, messages, answer: ANSWER, start: 14, end: 17, ...change };
}

function post(body: object, init: RequestInit = {}): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(`${url}/v1/occlusion_maps`, { method: "POST", headers, body: JSON.stringify(body), ...init });
}

async function events(response: Response): Promise<readonly (OcclusionMapEvent | "[DONE]")[]> {
  const all = await Array.fromAsync(readSse(readBody(response.body)));
  return all.map(({ data }) => (data === "[DONE]" ? data : (JSON.parse(data) as OcclusionMapEvent)));
}

/** The map, after which there is nothing but the end. */
function lastOf(all: readonly (OcclusionMapEvent | "[DONE]")[]): OcclusionMapResult {
  const map = all.at(-2);
  if (all.at(-1) !== "[DONE]" || map === undefined || map === "[DONE]" || map.type !== "map")
    throw new Error("There was no map.");
  return map;
}

async function mapOf(body: object): Promise<OcclusionMapResult> {
  const response = await post(body);
  expect(response.status).toBe(200);
  return lastOf(await events(response));
}

test("red owes itself to the circle at the left: progress, the map, the end", async () => {
  const response = await post(asked());
  expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
  const all = await events(response);
  expect(all[0]).toEqual({ type: "progress", done: 0, total: 50 });
  const map = lastOf(all);
  expect(map).toMatchObject({ width: 384, height: 384, box: { x: 0, y: 0, width: 384, height: 384 } });
  const cells = map.values.flatMap((row, y) => row.map((value, x) => ({ x, y, value: value ?? -Infinity })));
  const peak = cells.reduce((best, each) => (each.value > best.value ? each : best));
  expect(peak.x).toBeLessThan(3);
  expect(Math.abs(peak.y - 3.5)).toBeLessThan(2);
});

test("the mode of the image says which part of it is mapped", async () => {
  const { messages } = asked();
  const [message] = messages;
  if (message === undefined || typeof message.content === "string") throw new Error("There is no message.");
  const content = message.content.map((part) =>
    part.type === "image_url" ? { ...part, image_url: { ...part.image_url, mode: "resize" as const } } : part,
  );
  const map = await mapOf(asked({ messages: [{ role: "user", content }], cells: 4 }));
  expect(map.values).toHaveLength(4);
});

test("those who chat go first, and a full worker takes no map", async () => {
  const permits = await Promise.all(
    [0, 1].map(async () => await backend.queue.acquire(new AbortController().signal)),
  );
  const leaving = new AbortController();
  const { body } = await post(asked(), { signal: leaving.signal });
  await expect.poll(() => service.load.waiting).toBe(1);
  leaving.abort();
  await body?.cancel().catch(() => undefined);
  await expect.poll(() => service.load.waiting).toBe(0);
  for (const permit of permits) permit[Symbol.dispose]();
  expect((await mapOf(asked({ cells: 2 }))).values).toHaveLength(2);
});

test("who leaves frees the worker", async () => {
  const leaving = new AbortController();
  const response = await post(asked(), { signal: leaving.signal });
  await response.body?.getReader().read();
  leaving.abort();
  await expect
    .poll(() => [service.load.running, backend.occupancy.running, service.load.waiting])
    .toEqual([0, 0, 0]);
});

describe("what cannot be mapped is refused with its field", () => {
  test.each<[object, number, string, string | null]>([
    [{ start: 17, end: 14 }, 400, "invalid_request", "start"],
    [{ start: -1 }, 400, "invalid_request", "start"],
    [{ answer: "" }, 400, "invalid_request", "answer"],
    [{ answer: "\ud800 red" }, 400, "invalid_request", "answer"],
    [{ image: 1 }, 400, "invalid_request", "image"],
    [{ cells: 99 }, 400, "invalid_request", "cells"],
    [{ messages: [] }, 400, "invalid_request", "messages"],
    [{ messages: [{ role: "user", content: "What?" }] }, 400, "invalid_request", "image"],
    [{ conversation_template: "nosuch" }, 400, "invalid_request", "conversation_template"],
    [{ model: "other" }, 404, "model_not_found", "model"],
    [{ more: 1 }, 400, "invalid_request", "more"],
  ])("%o", async (change, status, code, param) => {
    const response = await post({ ...asked(), ...change });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { code, param } });
  });
});
