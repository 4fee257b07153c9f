/** A full queue, clients that leave, and a worker that drains, over real HTTP. */
import { readBody, readChatStream, SERVER_ERROR_TEXT } from "@llava/protocol";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { MODEL_NAME, startServer, type TestServer } from "./support/worker-server.ts";

const open: TestServer[] = [];
let server: TestServer;
beforeEach(async () => {
  server = await startServer({ concurrency: 1, maxWaiting: 1 });
  open.push(server);
});
afterAll(async () => {
  for (const server of open) await server[Symbol.asyncDispose]();
});

const LONG = {
  model: MODEL_NAME,
  messages: [{ role: "user", content: "Tell me everything." }],
  max_tokens: 800,
  temperature: 0,
};

function ask(body: object, init?: RequestInit): Promise<Response> {
  return server.post("/v1/chat/completions", { ...LONG, ...body }, init);
}

/** A stream of which the first bytes have been read. */
async function streaming(client: AbortController): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const response = await ask({ stream: true }, { signal: client.signal });
  const reader = response.body?.getReader();
  if (!reader) throw new Error("no body");
  await reader.read();
  return reader;
}

function queueLength(): Promise<unknown> {
  return fetch(`${server.url}/worker_get_status`, { method: "POST" }).then((response) => response.json());
}

describe("too many", () => {
  test("one runs, one waits, the next is told overloaded on both wires", async () => {
    const client = new AbortController();
    await streaming(client);
    const waiting = ask({ max_tokens: 1 });
    await vi.waitFor(async () => expect(await queueLength()).toMatchObject({ queue_length: 2 }));
    const refused = await ask({});
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(await refused.json()).toMatchObject({
      error: { code: "overloaded", message: expect.stringMatching(/1 requests run, 1 wait/) },
    });
    const refusedWire = await server.post("/worker_generate_stream", { prompt: "P" });
    expect(refusedWire.status).toBe(429);
    expect(await refusedWire.text()).toBe(`{"text":"${SERVER_ERROR_TEXT}","error_code":1}\0`);
    client.abort();
    expect(await (await waiting).json()).toMatchObject({ usage: { completion_tokens: 1 } });
  });
});

describe("a client that leaves", () => {
  test("frees its place in the middle of its answer, in engine and queue", async () => {
    for (let round = 0; round < 5; round++) {
      const client = new AbortController();
      await streaming(client);
      client.abort();
      await vi.waitFor(() => {
        expect(server.service.load).toEqual({ running: 0, waiting: 0 });
        expect(server.service.backend.occupancy.running).toBe(0);
      });
    }
    expect(server.logged().match(/"outcome":"cancelled"|"outcome":"left"/g)).toHaveLength(5);
    expect(await (await ask({ max_tokens: 1 })).json()).toMatchObject({ usage: { completion_tokens: 1 } });
  });

  test("frees its place in the queue, and without a stream too", async () => {
    const runner = new AbortController();
    await streaming(runner);
    const waiter = new AbortController();
    const waiting = ask({}, { signal: waiter.signal }).catch((error: unknown) => error);
    await vi.waitFor(() => expect(server.service.load.waiting).toBe(1));
    waiter.abort();
    await waiting;
    await vi.waitFor(() => expect(server.service.load.waiting).toBe(0));
    runner.abort();
    const whole = new AbortController();
    const answering = ask({}, { signal: whole.signal }).catch((error: unknown) => error);
    await vi.waitFor(() => expect(server.service.backend.occupancy.running).toBe(1));
    whole.abort();
    await answering;
    await vi.waitFor(() => expect(server.service.load).toEqual({ running: 0, waiting: 0 }));
  });

  test("on the original's wire frees its place too", async () => {
    const client = new AbortController();
    const response = await server.post(
      "/worker_generate_stream",
      { prompt: "P", max_new_tokens: 900 },
      { signal: client.signal },
    );
    await response.body?.getReader().read();
    client.abort();
    await vi.waitFor(() => expect(server.service.load).toEqual({ running: 0, waiting: 0 }));
  });
});

describe("a worker that must stop", () => {
  test("refuses new requests, lets the running end, and cuts off what takes too long with an error event", async () => {
    const response = await ask({ stream: true });
    const stream = readChatStream(readBody(response.body));
    expect(await stream.next()).toMatchObject({ value: { type: "text-delta" } });
    server.service.drain();
    const refused = await ask({});
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: { code: "shutting_down" } });
    expect((await fetch(`${server.url}/health`)).status).toBe(503);
    server.service.abort();
    let last;
    for await (const event of stream) last = event;
    expect(last).toMatchObject({ type: "error", error: { code: "shutting_down" } });
    await server.service.idle();
  });
});
