/** Starts a worker: flags, engine, server, controller, in this order, and ends it in the reverse one. */
import { setTimeout as sleep } from "node:timers/promises";
import { LlavaError, toLlavaError } from "@llava/protocol";
import { CommanderError } from "commander";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";
import { pino } from "pino";
import { advertisedAddress } from "./address.ts";
import { buildApp } from "./app.ts";
import { parseWorkerFlags, type WorkerFlags } from "./flags.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Service } from "./service.ts";

const MAX_WAIT_MS = 30_000;
const MAX_WAITING = 64;
const FLUSH_MS = 2_000;

await main();

async function main(): Promise<void> {
  // `llava serve` started us and is gone: nobody would ever stop us.
  process.once("disconnect", () => process.exit(1));
  try {
    await startWorker(parseWorkerFlags(process.argv.slice(2)));
  } catch (thrown) {
    if (thrown instanceof CommanderError) process.exit(thrown.exitCode === 0 ? 0 : 2);
    const error = toLlavaError(thrown);
    process.stderr.write(`${error.message}\n`);
    if (error.code === "internal") console.error(error.cause ?? error);
    process.exit(1);
  }
}

async function startWorker(flags: WorkerFlags): Promise<void> {
  const log: FastifyBaseLogger = pino({ level: flags.logLevel });
  // Loaded only now: a wrong flag or --help must not wait for the engine's native library.
  const { Engine } = await import("@llava/engine");
  const engine = await Engine.load(flags.modelPath, {
    device: flags.device,
    // Our own queue is the limit; the engine's must only never be the smaller one.
    maxWaiting: 4 * flags.limitModelConcurrency,
    onProgress: ({ phase, done, total }) => log.info({ phase, done, total }, "loading"),
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    ...(flags.convMode === undefined ? {} : { conversation: flags.convMode }),
  });
  const maxWaiting = Math.min(4 * flags.limitModelConcurrency, MAX_WAITING);
  const service = new Service({
    engine,
    modelName: flags.modelName ?? engine.info.name,
    limits: { concurrency: flags.limitModelConcurrency, maxWaiting, maxWaitMs: MAX_WAIT_MS },
  });
  const app = buildApp(service, log);
  const address = flags.workerAddress ?? advertisedAddress(flags.host, await listen(app, flags));
  log.info(`${service.modelName} is served on ${address} (${flags.device}).`);
  const heartbeat = flags.register ? startHeartbeat(service, flags, address, log) : null;
  onStop(() => stopWorker({ service, app, heartbeat, log, drainMs: flags.drainTimeout * 1000 }));
  process.send?.({ type: "ready", address });
}

/** @returns the port that was listened on, which the system has chosen for port 0 */
async function listen(app: FastifyInstance, { host, port }: WorkerFlags): Promise<number> {
  await app.listen({ host, port }).catch((cause: unknown) => {
    throw new LlavaError("invalid_request", listenFailure(host, port, cause), { cause });
  });
  const bound = app.addresses()[0];
  return typeof bound === "object" ? bound.port : port;
}

function listenFailure(host: string, port: number, cause: unknown): string {
  const reason = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  if (reason === "EADDRINUSE") return `Port ${port} is taken by another program. Choose another with --port.`;
  return `The worker cannot listen on ${host} port ${port} (${reason}). Check --host and --port.`;
}

function startHeartbeat(
  service: Service,
  flags: WorkerFlags,
  address: string,
  log: FastifyBaseLogger,
): Heartbeat {
  const heartbeat = new Heartbeat({
    controllerUrl: flags.controllerAddress,
    workerAddress: address,
    status: () => service.status(),
    intervalMs: flags.heartbeatInterval * 1000,
    log,
  });
  heartbeat.start();
  return heartbeat;
}

/** The first signal drains, the second one ends at once. Ctrl-C under `llava serve` is the parent's business. */
function onStop(stop: () => Promise<void>): void {
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

interface Running {
  readonly service: Service;
  readonly app: FastifyInstance;
  readonly heartbeat: Heartbeat | null;
  readonly log: FastifyBaseLogger;
  readonly drainMs: number;
}

/** No more reports, no new requests; what runs may end within `drainMs` and is then told that the worker stops. */
async function stopWorker({ service, app, heartbeat, log, drainMs }: Running): Promise<void> {
  log.info(`Stopping; running answers get up to ${drainMs / 1000} s to end.`);
  await heartbeat?.stop();
  service.admission.drain();
  await Promise.race([service.admission.idle(), sleep(drainMs)]);
  service.cutOff();
  await Promise.race([app.close(), sleep(FLUSH_MS)]);
  await service.engine[Symbol.asyncDispose]();
}
