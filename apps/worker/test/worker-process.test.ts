/** The worker as a process: its registration, its end, and the sentences of a failed start. */
import { fork, type ChildProcess } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json, text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { readBody, readChatStream, type ChatEvent } from "@llava/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { MODEL_NAME } from "./support/worker-server.ts";
import { writeTinyModel } from "./support/tiny-model.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

let root = "";
let folder = "";
const started: ChildProcess[] = [];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "llava-process-"));
  folder = join(root, MODEL_NAME);
  await writeTinyModel(folder);
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});
afterAll(() => rm(root, { recursive: true }));

interface Worker {
  readonly child: ChildProcess;
  readonly ready: Promise<string>;
  readonly exit: Promise<number | null>;
  readonly err: Promise<string>;
}

function startWorker(...flags: string[]): Worker {
  const child = fork(MAIN, ["--port", "0", "--threads", "1", ...flags], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  started.push(child);
  return {
    child,
    ready: new Promise((resolve) => {
      child.on("message", (message) => {
        if (typeof message === "object" && "address" in message) resolve(String(message.address));
      });
    }),
    exit: new Promise((resolve) => child.once("exit", resolve)),
    err: child.stderr ? text(child.stderr) : Promise.resolve(""),
  };
}

/** A controller that asks a worker for its status in the moment in which the worker registers. */
async function recordingController(): Promise<{ server: Server; url: string; recorded: unknown[] }> {
  const recorded: unknown[] = [];
  const server = createServer(async (request, response) => {
    const body = await json(request);
    const name =
      typeof body === "object" && body !== null && "worker_name" in body ? String(body.worker_name) : "";
    const status = await fetch(`${name}/worker_get_status`, { method: "POST" });
    recorded.push({ path: request.url, name, status: await status.json() });
    response.setHeader("content-type", "application/json").end(JSON.stringify({ exist: true }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, recorded };
}

describe("a worker process", () => {
  test("reports itself only when it can serve, under the address on which it listens", async () => {
    const { server, url, recorded } = await recordingController();
    const worker = startWorker("--model-path", folder, "--controller", url, "--heartbeat-interval", "0.05");
    const address = await worker.ready;
    await vi.waitFor(() => expect(recorded.length).toBeGreaterThan(2));
    const status = { model_names: [MODEL_NAME], speed: 1, queue_length: 0, state: "ready" };
    expect(recorded[0]).toMatchObject({ path: "/register_worker", name: address, status });
    expect(recorded[1]).toMatchObject({ path: "/receive_heart_beat", name: address, status });
    worker.child.kill("SIGTERM");
    expect(await worker.exit).toBe(0);
    expect(recorded.at(-2)).toMatchObject({ path: "/receive_heart_beat", status: { state: "draining" } });
    expect(recorded.at(-1)).toMatchObject({ path: "/deregister_worker" });
    server.close();
  });

  test("reports to several controllers, and one that hangs holds up neither the others nor the requests", async () => {
    const [first, second] = [await recordingController(), await recordingController()];
    const hung = createServer(() => undefined);
    await new Promise<void>((resolve) => hung.listen(0, "127.0.0.1", resolve));
    const hungUrl = `http://127.0.0.1:${(hung.address() as AddressInfo).port}`;
    const controllers = ["--controller", `${hungUrl},${first.url}`, "--controller", second.url];
    const worker = startWorker("--model-path", folder, ...controllers, "--heartbeat-interval", "0.05");
    const address = await worker.ready;
    const answer = await fetch(`${address}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: MODEL_NAME,
        messages: [{ role: "user", content: "Go." }],
        max_tokens: 3,
      }),
    });
    expect(answer.status).toBe(200);
    for (const { recorded } of [first, second]) {
      await vi.waitFor(() => expect(recorded.length).toBeGreaterThan(2));
    }
    worker.child.kill("SIGTERM");
    expect(await worker.exit).toBe(0);
    for (const { recorded, server } of [first, second]) {
      expect(recorded.at(-1)).toMatchObject({ path: "/deregister_worker", name: address });
      server.close();
    }
    hung.closeAllConnections();
    hung.close();
  });

  test("serves without a controller, and asked to stop it ends its answers first", async () => {
    const worker = startWorker(
      "--model-path",
      folder,
      "--controller",
      "http://127.0.0.1:1",
      "--model-name",
      "tiny",
    );
    const address = await worker.ready;
    const response = await fetch(`${address}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "tiny",
        messages: [{ role: "user", content: "Go." }],
        stream: true,
        stream_options: { include_usage: true },
        temperature: 0,
        max_tokens: 300,
      }),
    });
    const events: ChatEvent[] = [];
    for await (const event of readChatStream(readBody(response.body))) {
      if (events.length === 0) worker.child.kill("SIGTERM");
      events.push(event);
    }
    expect(events.at(-1)).toMatchObject({
      type: "finished",
      reason: "length",
      usage: { completion_tokens: 300 },
    });
    expect(await worker.exit).toBe(0);
  });

  test("an answer that outlasts the drain time ends with an error event", async () => {
    const worker = startWorker("--model-path", folder, "--no-register", "--drain-timeout", "0.01");
    const response = await fetch(`${await worker.ready}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: MODEL_NAME,
        messages: [{ role: "user", content: "Go." }],
        stream: true,
        temperature: 0,
      }),
    });
    let last: ChatEvent | null = null;
    for await (const event of readChatStream(readBody(response.body))) {
      if (last === null) worker.child.kill("SIGTERM");
      last = event;
    }
    expect(last).toMatchObject({ type: "error", error: { code: "shutting_down" } });
    expect(await worker.exit).toBe(0);
  });

  test("ends when the process that started it is gone", async () => {
    const worker = startWorker("--model-path", folder, "--no-register");
    await worker.ready;
    worker.child.disconnect();
    expect(await worker.exit).not.toBeNull();
  });

  test.each([
    [
      "a folder that is not there",
      ["--model-path", "/no/such/model"],
      1,
      /There is no folder \/no\/such\/model/,
    ],
    ["a folder without a model", ["--model-path", tmpdir()], 1, /config\.json/],
    ["an unknown template", ["--conv-mode", "klingon"], 1, /klingon/],
    ["a flag of the wrong kind", ["--port", "many"], 2, /whole number/],
  ])("%s is reported in one sentence", async (_name, flags, code, sentence) => {
    const model = flags.includes("--model-path") ? [] : ["--model-path", folder];
    const worker = startWorker(...model, ...flags);
    expect(await worker.err).toMatch(sentence);
    expect(await worker.exit).toBe(code);
  });

  test("a taken port is reported in one sentence", async () => {
    const { server, url } = await recordingController();
    const worker = startWorker("--model-path", folder, "--no-register", "--port", new URL(url).port);
    expect(await worker.err).toBe(
      `Port ${new URL(url).port} is taken by another program. Choose another with --port.\n`,
    );
    expect(await worker.exit).toBe(1);
    server.close();
  });
});
