/** Stops a worker in the reverse order of its start, when the process gets a signal. */
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";
import type { Heartbeat } from "./cluster/heartbeat.ts";
import type { WorkerService } from "./service/worker-service.ts";

/** Time for the last bytes of answers that were aborted. */
const FLUSH_MS = 2_000;

interface RunningWorker {
  readonly service: WorkerService;
  readonly app: FastifyInstance;
  readonly heartbeats: readonly Heartbeat[];
  readonly log: FastifyBaseLogger;
  /** Time that running answers get to end. */
  readonly drainMs: number;
}

/**
 * Reports to the controllers first, so that they send nothing new; lets what runs end within `drainMs` and ends the rest with
 * `shutting_down`; deregisters when nothing runs any more.
 */
export async function stopWorker({ service, app, heartbeats, log, drainMs }: RunningWorker): Promise<void> {
  log.info(`Stopping; running answers get up to ${drainMs / 1000} s to end.`);
  service.announceDrain();
  await Promise.all(heartbeats.map((heartbeat) => heartbeat.reportNow()));
  service.drain();
  await Promise.race([service.idle(), sleep(drainMs)]);
  service.abort();
  await Promise.all(heartbeats.map((heartbeat) => heartbeat.deregister()));
  await Promise.race([app.close(), sleep(FLUSH_MS)]);
  await service.backend[Symbol.asyncDispose]();
}

/** The first signal stops, the second one ends the process at once. Under `llava serve` Ctrl-C is the parent's to handle. */
export function onStopSignal(stop: () => Promise<void>): void {
  let isStopping = false;
  const handle = (): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    void stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on("SIGTERM", handle);
  process.on("SIGINT", process.send ? () => undefined : handle);
}
