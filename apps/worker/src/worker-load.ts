/** Loads the engine of this repository as the worker's backend, as the worker's flags describe it. */
import type { Backend, LoadProgress } from "@llava/backend";
import type { FastifyBaseLogger } from "fastify";
import type { WorkerService } from "./service/worker-service.ts";
import type { WorkerFlags } from "./worker-options.ts";

/** Longest time that a request waits before it is refused with `overloaded`. */
const MAX_WAIT_MS = 30_000;
/** Most requests that wait, however many are computed at once. */
const MAX_WAITING = 64;

/** Meanwhile the server answers how far loading is. */
export async function loadLocalBackend(
  flags: WorkerFlags,
  service: WorkerService,
  log: FastifyBaseLogger,
): Promise<Backend> {
  const { LocalBackend } = await import("./backends/local-backend.ts");
  return await LocalBackend.load(flags.modelPath, {
    device: flags.device,
    maxRunning: flags.limitModelConcurrency,
    maxWaiting: Math.min(4 * flags.limitModelConcurrency, MAX_WAITING),
    maxWaitMs: MAX_WAIT_MS,
    onProgress: (progress) => {
      service.loadProgress = progress;
      reportLoading(progress, log);
    },
    dtype: flags.dtype,
    ...(flags.computeType === undefined ? {} : { computeType: flags.computeType }),
    quantizesVision: flags.quantizeVision ?? false,
    images: { processes: flags.imageProcesses },
    ...(flags.kvCacheMib === undefined ? {} : { cacheBytes: flags.kvCacheMib * 2 ** 20 }),
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    ...(flags.convMode === undefined ? {} : { conversation: flags.convMode }),
  });
}

/** Logs every step, and every tenth of the bytes; `llava serve`, when it started this process, draws all of it. */
function reportLoading(progress: LoadProgress, log: FastifyBaseLogger): void {
  const { done, total, unit } = progress;
  process.send?.({ type: "progress", progress });
  const percent = Math.floor((100 * done) / total);
  if (unit === undefined || percent % 10 === 0) log.info({ ...progress }, "loading");
}
