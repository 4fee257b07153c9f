/** Starts a worker on a real port for the tests of one file: with the engine on a tiny model, or with another backend. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AdmissionLimits, Backend } from "@llava/backend";
import type { ServerOptions } from "@llava/server";
import type { FastifyBaseLogger } from "fastify";
import { pino } from "pino";
import { buildApp } from "../../src/worker-app.ts";
import type { ImageSources } from "../../src/images/request-images.ts";
import { WorkerService } from "../../src/service/worker-service.ts";
import { writeTinyModel } from "./tiny-model.ts";

export const MODEL_NAME = "tiny-llava-v1";

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  /** The sizes of its model. */
  readonly model: { readonly contextLength: number; readonly tokensPerImage: number };
  readonly service: WorkerService;
  /** Everything that was logged. */
  logged(): string;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

const LIMITS: AdmissionLimits = { concurrency: 5, maxWaiting: 20, maxWaitMs: 30_000 };

/** A worker with the engine of this repository. */
export async function startServer(
  limits: Partial<AdmissionLimits> = {},
  options: Partial<ServerOptions> = {},
  images?: ImageSources,
): Promise<TestServer> {
  // Only here: tests with another backend load no native code.
  const { LocalBackend } = await import("../../src/backends/local-backend.ts");
  const root = await mkdtemp(join(tmpdir(), "llava-worker-"));
  const folder = join(root, MODEL_NAME);
  await writeTinyModel(folder);
  const { concurrency, ...waiting } = { ...LIMITS, ...limits };
  const backend = await LocalBackend.load(folder, { threads: 1, maxRunning: concurrency, ...waiting });
  const server = await serveBackend(backend, options, images);
  return {
    ...server,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await rm(root, { recursive: true });
    },
  };
}

/** A worker with any backend, which it disposes of at its end. */
export async function serveBackend(
  backend: Backend,
  options: Partial<ServerOptions> = {},
  images?: ImageSources,
): Promise<TestServer> {
  const { name: modelName, contextLength, tokensPerImage = 0 } = backend.card;
  const service = new WorkerService({ backend, modelName, ...(images === undefined ? {} : { images }) });
  let lines = "";
  const log: FastifyBaseLogger = pino({ level: "trace" }, { write: (line: string) => (lines += line) });
  const app = buildApp(service, log, options);
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  return {
    url,
    model: { contextLength, tokensPerImage },
    service,
    logged: () => lines,
    post: (path, body, init = {}) =>
      fetch(url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
        ...init,
      }),
    async [Symbol.asyncDispose]() {
      service.abort();
      await app.close();
      await backend[Symbol.asyncDispose]();
    },
  };
}
