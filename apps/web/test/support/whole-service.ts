/**
 * Starts a whole service: a controller and workers with the demo model as processes, and the web server in this
 * process.
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

import type { FastifyInstance } from "fastify";

import { createApp } from "../../src/server/web-app.ts";
import { HoldingProxy } from "./holding-proxy.ts";

const CONTROLLER = fileURLToPath(new URL("../../../controller/src/main.ts", import.meta.url));
const WORKER = fileURLToPath(new URL("../../../worker/src/main.ts", import.meta.url));
const MODEL = fileURLToPath(new URL("../../../../packages/demo/model/llava-demo", import.meta.url));

/** A worker with the demo model, and the proxy through which the controller reaches it. */
export interface RunningWorker {
  readonly proxy: HoldingProxy;
  /** The worker's address for the controller and its clients. */
  readonly address: string;
  readonly process: ChildProcess;
}

export class WholeService implements AsyncDisposable {
  /** The proxy between the web server and the controller. */
  readonly proxy: HoldingProxy;
  readonly url: string;
  readonly workers: readonly RunningWorker[];
  readonly #app: FastifyInstance;
  readonly #controller: ChildProcess;

  private constructor(
    proxy: HoldingProxy,
    app: FastifyInstance,
    url: string,
    workers: readonly RunningWorker[],
    controller: ChildProcess,
  ) {
    this.proxy = proxy;
    this.url = url;
    this.workers = workers;
    this.#app = app;
    this.#controller = controller;
  }

  /** @param models the name under which each worker serves the demo model */
  static async start(pageFolder: string, models: readonly string[] = ["llava-demo"]): Promise<WholeService> {
    const quiet = ["--port", "0", "--log-level", "silent"];
    const [controller, controllerUrl] = await started(CONTROLLER, quiet);
    const workers: RunningWorker[] = [];
    for (const model of models) workers.push(await startWorker(model, controllerUrl));
    const proxy = await new HoldingProxy(controllerUrl).open();
    const app = await createApp({ controllerUrl: proxy.url, pageFolder });
    const url = await app.listen({ host: "127.0.0.1", port: 0 });
    return new WholeService(proxy, app, url, workers, controller);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.#app.close();
    for (const { proxy, process } of this.workers) {
      await end(process);
      await proxy[Symbol.asyncDispose]();
    }
    await end(this.#controller);
  }
}

async function startWorker(model: string, controllerUrl: string): Promise<RunningWorker> {
  const port = await freePort();
  const proxy = await new HoldingProxy(`http://127.0.0.1:${port}`).open();
  const place = [
    "--port",
    String(port),
    "--worker-address",
    proxy.url,
    "--controller-address",
    controllerUrl,
  ];
  const served = ["--model-path", MODEL, "--model-name", model, "--threads", "1"];
  const quiet = ["--log-level", "silent", "--heartbeat-interval", "0.5"];
  const [process] = await started(WORKER, [...place, ...served, ...quiet]);
  return { proxy, address: proxy.url, process };
}

/** A port on which nothing listens now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => void server.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("There is no port.");
  return address.port;
}

async function started(file: string, flags: readonly string[]): Promise<readonly [ChildProcess, string]> {
  const child = fork(file, [...flags], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`${file} ended with ${code} before it was ready.`);
  });
  ended.catch(() => undefined);
  for (;;) {
    const [message]: unknown[] = await Promise.race([once(child, "message"), ended]);
    if (typeof message !== "object" || message === null || !("type" in message)) continue;
    if (message.type === "ready" && "address" in message) return [child, String(message.address)];
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}
