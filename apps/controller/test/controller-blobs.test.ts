/**
 * Tests that images which were uploaded to the controller reach the worker that is asked about them, over real HTTP. The
 * worker writes no answers, but keeps images as ours do.
 */
import { createHash, randomBytes } from "node:crypto";
import { addBlobRoutes, BlobStore, createServer } from "@llava/server";
import { LlavaError } from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createController, type Controller } from "../src/controller-app.ts";
import { referredKeysOf } from "../src/body/image-fields.ts";

const FILE = randomBytes(200_000);
const KEY = keyOf(FILE);

interface BlobWorker {
  readonly app: FastifyInstance;
  readonly url: string;
  store: BlobStore;
  /** The requests about images so far, `PUT` or `HEAD`. */
  readonly seen: string[];
}

let controller: Controller;
let url: string;
const workers: BlobWorker[] = [];

beforeEach(async () => {
  controller = createController({ log: pino({ level: "silent" }) });
  url = await controller.app.listen({ host: "127.0.0.1", port: 0 });
});

afterEach(async () => {
  await controller.shutdown(0);
  for (const { app } of workers.splice(0)) await app.close();
});

function keyOf(file: Uint8Array): string {
  return `sha256:${createHash("sha256").update(file).digest("hex")}`;
}

async function startWorker(): Promise<BlobWorker> {
  const seen: string[] = [];
  const app = createServer({ bodies: "bytes", seeAlso: "" });
  const worker: BlobWorker = { app, url: "", store: new BlobStore(), seen };
  app.addHook("onRequest", async (request) => {
    if (request.url.startsWith("/v1/blobs/")) seen.push(request.method);
  });
  // Read for each request, as a test may empty the store, which a full memory would do too.
  addBlobRoutes(app, {
    limits: worker.store.limits,
    has: (key: string) => worker.store.has(key),
    put: (key: string, bytes: Buffer) => worker.store.put(key, bytes),
  });
  const options = { config: { role: "user" }, bodyLimit: 1 << 20 } as const;
  app.post("/v1/chat/completions", options, (request) => {
    const keys = referredKeysOf(Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0));
    const lacking = keys.find((key) => worker.store.get(key) === null);
    if (lacking !== undefined) throw new LlavaError("blob_missing", `There is no ${lacking} here.`);
    return { keys };
  });
  const address = await app.listen({ host: "127.0.0.1", port: 0 });
  const started = Object.assign(worker, { url: address });
  workers.push(started);
  const status = { model_names: ["m"], speed: 1, queue_length: 0 };
  await post("/register_worker", { worker_name: address, check_heart_beat: false, worker_status: status });
  return started;
}

async function post(path: string, body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
}

async function upload(file: Uint8Array): Promise<number> {
  const headers = { "content-type": "image/png" };
  const body = new Uint8Array(file);
  return (await fetch(`${url}/v1/blobs/${keyOf(file)}`, { method: "PUT", headers, body })).status;
}

async function ask(...keys: readonly string[]): Promise<unknown> {
  const content = keys.map((key) => ({ type: "image_url", image_url: { url: key } }));
  const response = await post("/v1/chat/completions", { model: "m", messages: [{ role: "user", content }] });
  return { status: response.status, body: await response.json() };
}

test("an uploaded image is sent once to a worker that is asked about it again and again", async () => {
  const worker = await startWorker();
  expect(await upload(FILE)).toBe(201);
  for (let round = 0; round < 3; round++)
    expect(await ask(KEY)).toEqual({ status: 200, body: { keys: [KEY] } });
  expect(worker.seen).toEqual(["HEAD", "PUT"]);
});

test("an uploaded image is not sent to a worker that has it from elsewhere", async () => {
  const worker = await startWorker();
  await worker.store.put(KEY, FILE);
  await upload(FILE);
  expect(await ask(KEY)).toMatchObject({ status: 200 });
  expect(worker.seen).toEqual(["HEAD"]);
});

test("an uploaded image is sent again to a worker that has dropped it, without the client noticing", async () => {
  const worker = await startWorker();
  await upload(FILE);
  await ask(KEY);
  worker.store = new BlobStore();
  expect(await ask(KEY)).toMatchObject({ status: 200 });
  expect(worker.seen).toEqual(["HEAD", "PUT", "PUT"]);
});

test("an image that is nowhere is answered with blob_missing, so that the client uploads it again", async () => {
  const worker = await startWorker();
  expect(await ask(KEY)).toMatchObject({ status: 404, body: { error: { code: "blob_missing" } } });
  expect(worker.seen).toEqual([]);
  await upload(FILE);
  expect(await ask(KEY)).toMatchObject({ status: 200 });
});

test("an uploaded image goes to a new process at an old address as well", async () => {
  const worker = await startWorker();
  await upload(FILE);
  await ask(KEY);
  worker.store = new BlobStore();
  const status = { model_names: ["m"], speed: 1, queue_length: 0 };
  await post("/register_worker", { worker_name: worker.url, check_heart_beat: false, worker_status: status });
  expect(await ask(KEY)).toMatchObject({ status: 200 });
  expect(worker.seen).toEqual(["HEAD", "PUT", "HEAD", "PUT"]);
});
