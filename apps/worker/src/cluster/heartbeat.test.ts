import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import type { WorkerReport } from "@llava/protocol";
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
  /** Instead of what it should answer. */
  answer: unknown = null;
  /** What an answer waits for. */
  before = async (): Promise<void> => undefined;
  readonly #server: Server;

  constructor() {
    this.#server = createServer(async (request, response) => {
      const path = request.url ?? "";
      this.calls.push({ path, body: await json(request) });
      await this.before();
      response.writeHead(this.status, { "content-type": "application/json" });
      const answer = path === "/register_worker" ? null : { exist: this.knowsWorker };
      response.end(JSON.stringify(this.answer ?? answer));
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
  { report = {}, intervalMs = 10 }: { report?: WorkerReport; intervalMs?: number } = {},
): { heartbeat: Heartbeat; sentences: string[] } {
  const sentences: string[] = [];
  const heartbeat = new Heartbeat({
    controllerUrl,
    workerAddress: "http://w:1",
    status: () => ({ model_names: ["m"], speed: 1, queue_length: queue.length, ...report }),
    intervalMs,
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
        body: { worker_name: "http://w:1", queue_length: 4, seq: expect.any(Number) },
      }),
    );
    expect(controller.calls[0]).toEqual({
      path: "/register_worker",
      body: {
        worker_name: "http://w:1",
        check_heart_beat: true,
        worker_status: { model_names: ["m"], speed: 1, queue_length: 3, seq: 1 },
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
    await vi.waitFor(() => expect(controller.paths()).toContain("/register_worker"));
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

  test("its reports grow in number and say what only our workers say", async () => {
    const { controller, url } = await controllerAt();
    const report: WorkerReport = { incarnation: "one", state: "ready", image_keys: [] };
    beating(url, { length: 0 }, { report });
    await vi.waitFor(() => expect(controller.calls.length).toBeGreaterThan(2));
    expect(controller.calls.slice(0, 3).map(({ body }) => body)).toEqual([
      expect.objectContaining({ worker_status: expect.objectContaining({ ...report, seq: 1 }) }),
      { worker_name: "http://w:1", queue_length: 0, ...report, seq: 2 },
      { worker_name: "http://w:1", queue_length: 0, ...report, seq: 3 },
    ]);
  });

  test("reports at once when asked, however long the interval, and says farewell last", async () => {
    const { controller, url } = await controllerAt();
    const report: { incarnation: string; state: "ready" | "draining" } = {
      incarnation: "one",
      state: "ready",
    };
    const { heartbeat } = beating(url, { length: 0 }, { report, intervalMs: 3_600_000 });
    await vi.waitFor(() => expect(controller.paths()).toEqual(["/register_worker"]));
    report.state = "draining";
    await heartbeat.reportNow();
    expect(controller.calls.at(-1)).toMatchObject({
      path: "/receive_heart_beat",
      body: { state: "draining" },
    });
    await heartbeat.deregister();
    expect(controller.calls.slice(2)).toEqual([
      { path: "/deregister_worker", body: { worker_name: "http://w:1", incarnation: "one" } },
    ]);
  });

  test("asked in the middle of a report, it makes another one with what is true by then", async () => {
    const { controller, url } = await controllerAt();
    const { promise: isHeld, resolve: letGo } = Promise.withResolvers<void>();
    controller.before = () => isHeld;
    const report: { state: "ready" | "draining" } = { state: "ready" };
    const { heartbeat } = beating(url, { length: 0 }, { report, intervalMs: 3_600_000 });
    await vi.waitFor(() => expect(controller.paths()).toEqual(["/register_worker"]));
    report.state = "draining";
    const reported = heartbeat.reportNow();
    letGo();
    await reported;
    expect(controller.calls.at(-1)).toMatchObject({
      path: "/receive_heart_beat",
      body: { state: "draining" },
    });
  });

  test("a controller that never heard of us, or is gone, holds no farewell up", async () => {
    const placeholder = await controllerAt();
    await placeholder.controller.close();
    const { heartbeat, sentences } = beating(placeholder.url);
    await vi.waitFor(() => expect(sentences).toHaveLength(1));
    await heartbeat.reportNow();
    await heartbeat.deregister();
    expect(sentences).toHaveLength(1);
  });

  test("of several controllers each hears, whatever the others do", async () => {
    const hung = createServer(() => undefined);
    await new Promise<void>((resolve) => hung.listen(0, "127.0.0.1", resolve));
    open.push(async () => {
      hung.closeAllConnections();
      hung.close();
    });
    const { controller, url } = await controllerAt();
    const gone = await controllerAt();
    await gone.controller.close();
    for (const each of [`http://127.0.0.1:${(hung.address() as AddressInfo).port}`, gone.url, url])
      beating(each);
    await vi.waitFor(() => expect(controller.paths().length).toBeGreaterThan(3));
  });

  test("a refusal's reason is in the log", async () => {
    const { controller, url } = await controllerAt();
    controller.status = 403;
    controller.answer = { error: { message: "Wrong token.", code: "forbidden" } };
    const { sentences } = beating(url);
    await vi.waitFor(() => expect(sentences[0]).toMatch(/HTTP 403: Wrong token\./));
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
