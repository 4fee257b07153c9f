/** A worker on a real port with the real engine on a tiny model, for the tests of one file. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServerOptions } from "@llava/server";
import { Engine } from "@llava/engine";
import type { FastifyBaseLogger } from "fastify";
import { pino } from "pino";
import type { AdmissionLimits } from "../../src/service/admission.ts";
import { buildApp } from "../../src/worker-app.ts";
import type { ImageSources } from "../../src/images/request-images.ts";
import { Service } from "../../src/service/worker-service.ts";
import { writeTinyModel, type TinyModel } from "./tiny-model.ts";

export const MODEL_NAME = "tiny-llava-v1";

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly model: TinyModel;
  readonly service: Service;
  /** Everything that was logged. */
  logged(): string;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

const LIMITS: AdmissionLimits = { concurrency: 5, maxWaiting: 20, maxWaitMs: 30_000 };

export async function startServer(
  limits: Partial<AdmissionLimits> = {},
  door: Partial<ServerOptions> = {},
  images?: ImageSources,
  maxRunning = 8,
): Promise<TestServer> {
  const root = await mkdtemp(join(tmpdir(), "llava-worker-"));
  const folder = join(root, MODEL_NAME);
  const model = await writeTinyModel(folder);
  const engine = await Engine.load(folder, { threads: 1, maxRunning });
  const service = new Service({
    engine,
    modelName: engine.info.name,
    limits: { ...LIMITS, ...limits },
    ...(images === undefined ? {} : { images }),
  });
  let lines = "";
  const log: FastifyBaseLogger = pino({ level: "trace" }, { write: (line: string) => (lines += line) });
  const app = buildApp(service, log, door);
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  return {
    url,
    model,
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
      service.cutOff();
      await app.close();
      await engine[Symbol.asyncDispose]();
      await rm(root, { recursive: true });
    },
  };
}
