/** Nothing stood in for: a controller and workers with the demo model as processes, and the web server before them. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

import type { FastifyInstance } from "fastify";

import { createApp } from "../../src/server/web-app.ts";
import { HeldWay } from "./held-way.ts";

const CONTROLLER = fileURLToPath(new URL("../../../controller/src/main.ts", import.meta.url));
const WORKER = fileURLToPath(new URL("../../../worker/src/main.ts", import.meta.url));
const MODEL = fileURLToPath(new URL("../../../../packages/demo/model/llava-demo", import.meta.url));

/** One with the demo model, and the way on which the controller reaches it. */
export interface RunningWorker {
  readonly way: HeldWay;
  /** As the controller and its watchers call it. */
  readonly address: string;
  readonly process: ChildProcess;
}

export class WholeService implements AsyncDisposable {
  /** Between the web server and the controller. */
  readonly way: HeldWay;
  readonly url: string;
  readonly workers: readonly RunningWorker[];
  readonly #app: FastifyInstance;
  readonly #controller: ChildProcess;

  private constructor(
    way: HeldWay,
    app: FastifyInstance,
    url: string,
    workers: readonly RunningWorker[],
    controller: ChildProcess,
  ) {
    this.way = way;
    this.url = url;
    this.workers = workers;
    this.#app = app;
    this.#controller = controller;
  }

  /** @param models the name under which each of the workers serves the demo model */
  static async start(pageFolder: string, models: readonly string[] = ["llava-demo"]): Promise<WholeService> {
    const quiet = ["--port", "0", "--log-level", "silent"];
    const [controller, controllerUrl] = await started(CONTROLLER, quiet);
    const workers: RunningWorker[] = [];
    for (const model of models) workers.push(await startWorker(model, controllerUrl));
    const way = await new HeldWay(controllerUrl).open();
    const app = await createApp({ controllerUrl: way.url, pageFolder });
    const url = await app.listen({ host: "127.0.0.1", port: 0 });
    return new WholeService(way, app, url, workers, controller);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.way[Symbol.asyncDispose]();
    await this.#app.close();
    for (const { way, process } of this.workers) {
      await end(process);
      await way[Symbol.asyncDispose]();
    }
    await end(this.#controller);
  }
}

async function startWorker(model: string, controllerUrl: string): Promise<RunningWorker> {
  const port = await freePort();
  const way = await new HeldWay(`http://127.0.0.1:${port}`).open();
  const place = ["--port", String(port), "--worker-address", way.url, "--controller-address", controllerUrl];
  const served = ["--model-path", MODEL, "--model-name", model, "--threads", "1"];
  const quiet = ["--log-level", "silent", "--heartbeat-interval", "0.5"];
  const [process] = await started(WORKER, [...place, ...served, ...quiet]);
  return { way, address: way.url, process };
}

/** One that nobody listens on now. */
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
