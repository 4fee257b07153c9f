import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Heartbeat } from "./heartbeat.ts";

interface Call {
  readonly path: string;
  readonly body: unknown;
}

/** A controller's two endpoints, as small as they can be, on a real port. */
class SmallController {
  readonly calls: Call[] = [];
  knowsWorker = true;
  status = 200;
  readonly #server: Server;

  constructor() {
    this.#server = createServer(async (request, response) => {
      const path = request.url ?? "";
      this.calls.push({ path, body: await json(request) });
      response.writeHead(this.status, { "content-type": "application/json" });
      response.end(path === "/register_worker" ? "null" : JSON.stringify({ exist: this.knowsWorker }));
    });
  }

  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  paths(): string[] {
    return this.calls.map((call) => call.path);
  }
}

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function controllerAt(port?: number): Promise<{ controller: SmallController; url: string }> {
  const controller = new SmallController();
  const url = await controller.listen(port);
  open.push(() => controller.close());
  return { controller, url };
}

function beating(
  controllerUrl: string,
  queue = { length: 0 },
): { heartbeat: Heartbeat; sentences: string[] } {
  const sentences: string[] = [];
  const heartbeat = new Heartbeat({
    controllerUrl,
    workerAddress: "http://w:1",
    status: () => ({ model_names: ["m"], speed: 1, queue_length: queue.length }),
    intervalMs: 10,
    log: { info: (text) => sentences.push(text), warn: (text) => sentences.push(text) },
  });
  heartbeat.start();
  open.push(() => heartbeat.stop());
  return { heartbeat, sentences };
}

describe("Heartbeat", () => {
  test("registers once with its status, then beats with the queue length of the moment", async () => {
    const { controller, url } = await controllerAt();
    const queue = { length: 3 };
    beating(url, queue);
    await vi.waitFor(() => expect(controller.calls.length).toBeGreaterThan(2));
    queue.length = 4;
    await vi.waitFor(() =>
      expect(controller.calls.at(-1)).toEqual({
        path: "/receive_heart_beat",
        body: { worker_name: "http://w:1", queue_length: 4 },
      }),
    );
    expect(controller.calls[0]).toEqual({
      path: "/register_worker",
      body: {
        worker_name: "http://w:1",
        check_heart_beat: true,
        worker_status: { model_names: ["m"], speed: 1, queue_length: 3 },
      },
    });
    expect(controller.paths().filter((path) => path === "/register_worker")).toHaveLength(1);
  });

  test("exist: false is answered by registering again at once", async () => {
    const { controller, url } = await controllerAt();
    beating(url);
    await vi.waitFor(() => expect(controller.paths()).toContain("/receive_heart_beat"));
    controller.knowsWorker = false;
    controller.calls.length = 0;
    await vi.waitFor(() =>
      expect(controller.paths().slice(0, 2)).toEqual(["/receive_heart_beat", "/register_worker"]),
    );
  });

  test("a controller that is down at the start is waited for, with one sentence; restarted, it is found again", async () => {
    const placeholder = await controllerAt();
    const port = Number(new URL(placeholder.url).port);
    await placeholder.controller.close();
    const { sentences } = beating(placeholder.url);
    await vi.waitFor(() => expect(sentences).toHaveLength(1));
    expect(sentences[0]).toMatch(/cannot be reached .*keeps trying/);
    const { controller } = await controllerAt(port);
    await vi.waitFor(() => expect(controller.paths()).toContain("/register_worker"), { timeout: 10_000 });
    await vi.waitFor(() => expect(sentences.at(-1)).toMatch(/^Registered with/));
    await controller.close();
    await vi.waitFor(() => expect(sentences).toHaveLength(3));
  });

  test("an error answer counts as lost, not as registered", async () => {
    const { controller, url } = await controllerAt();
    controller.status = 500;
    const { sentences } = beating(url);
    await vi.waitFor(() => expect(sentences[0]).toMatch(/HTTP 500/));
    controller.status = 200;
    await vi.waitFor(() => expect(controller.paths()).toContain("/receive_heart_beat"));
  });

  test("stopped, it is silent, even in the middle of an unanswered request", async () => {
    const hung = createServer(() => undefined);
    await new Promise<void>((resolve) => hung.listen(0, "127.0.0.1", resolve));
    open.push(async () => void hung.close());
    const { heartbeat, sentences } = beating(`http://127.0.0.1:${(hung.address() as AddressInfo).port}`);
    await new Promise((resolve) => hung.once("connection", resolve));
    await heartbeat.stop();
    hung.closeAllConnections();
    expect(sentences).toEqual([]);
  });
});
