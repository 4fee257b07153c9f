/** Starts HTTP servers in place of workers, and a controller on a real port, for the tests of this folder. */
import { createServer, type Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { WorkerReport } from "@llava/protocol";
import { pino } from "pino";
import { createController, type Controller, type ControllerOptions } from "../../src/controller-app.ts";
import { listen, respondJson, type Handler } from "./http-server.ts";

export { respondJson, type Handler };

/** Everything that a test opened; closed by `closeAll` after it. */
const opened: (() => Promise<void>)[] = [];

export async function closeAll(): Promise<void> {
  for (const close of opened.splice(0).toReversed()) await close();
}

export function closeLater(close: () => Promise<void>): void {
  opened.push(close);
}

/** @returns the controller's address */
export async function startController(
  options: Partial<ControllerOptions> = {},
): Promise<{ readonly url: string; readonly controller: Controller }> {
  const controller = createController({ log: pino({ level: "silent" }), ...options });
  const url = await controller.app.listen({ host: "127.0.0.1", port: 0 });
  closeLater(() => controller.shutdown(1));
  return { url, controller };
}

export interface StandIn {
  readonly url: string;
  readonly server: Server;
  /** Paths in the order in which they were asked for. */
  readonly asked: string[];
}

/** A worker of `models` that answers its status, with `report` in it, and leaves every other path to `handler`. */
export async function startWorker(
  models: readonly string[],
  handler: Handler,
  report: WorkerReport = {},
): Promise<StandIn> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    if (request.url !== "/worker_get_status") return handler(request, response);
    return respondJson(response, 200, { model_names: models, speed: 1, queue_length: 0, ...report });
  });
  const url = await listen(server);
  closeLater(() => close(server));
  return { url, server, asked };
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

/** An address without a server. */
export async function deadAddress(): Promise<string> {
  const server = createServer();
  const url = await listen(server);
  await close(server);
  return url;
}

export async function register(
  controllerUrl: string,
  workerUrl: string,
  models: readonly string[],
  options: {
    readonly queueLength?: number;
    readonly speed?: number;
    readonly checkHeartBeat?: boolean;
    /** The fields that only our workers send. */
    readonly report?: WorkerReport;
  } = {},
): Promise<void> {
  const { queueLength = 0, speed = 1, checkHeartBeat = true, report = {} } = options;
  const status = { ...report, model_names: models, speed, queue_length: queueLength };
  await post(`${controllerUrl}/register_worker`, {
    worker_name: workerUrl,
    check_heart_beat: checkHeartBeat,
    worker_status: status,
  });
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export async function post(
  url: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const content = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
  const type = body === undefined ? {} : { "content-type": "application/json" };
  const response = await fetch(url, {
    method: "POST",
    ...content,
    headers: { ...type, ...headers },
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

export async function modelsOf(controllerUrl: string): Promise<unknown> {
  return JSON.parse((await post(`${controllerUrl}/list_models`)).text);
}

/** Waits until the condition holds; the test's own time limit ends a wait without success. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(10);
}
