/** Nothing stood in for: a controller and a worker with the demo model as processes, and the web server before them. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import type { FastifyInstance } from "fastify";

import { createApp } from "../src/server/app.ts";
import { HeldWay } from "./held-way.ts";

const CONTROLLER = fileURLToPath(new URL("../../controller/src/main.ts", import.meta.url));
const WORKER = fileURLToPath(new URL("../../worker/src/main.ts", import.meta.url));
const MODEL = fileURLToPath(new URL("../../cli/models/llava-demo", import.meta.url));

export class WholeService implements AsyncDisposable {
  /** Between the web server and the controller. */
  readonly way: HeldWay;
  readonly url: string;
  readonly #app: FastifyInstance;
  readonly #processes: readonly ChildProcess[];

  private constructor(way: HeldWay, app: FastifyInstance, url: string, processes: readonly ChildProcess[]) {
    this.way = way;
    this.url = url;
    this.#app = app;
    this.#processes = processes;
  }

  static async start(pageFolder: string): Promise<WholeService> {
    const quiet = ["--port", "0", "--log-level", "silent"];
    const [controller, controllerUrl] = await started(CONTROLLER, quiet);
    const toController = ["--controller-address", controllerUrl, "--heartbeat-interval", "0.5"];
    const [worker] = await started(WORKER, [...quiet, "--model-path", MODEL, ...toController]);
    const way = await new HeldWay(controllerUrl).open();
    const app = await createApp({ controllerUrl: way.url, pageFolder });
    const url = await app.listen({ host: "127.0.0.1", port: 0 });
    return new WholeService(way, app, url, [worker, controller]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.way[Symbol.asyncDispose]();
    await this.#app.close();
    for (const child of this.#processes) await end(child);
  }
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
