/** Starts a worker: flags, server, engine, controllers, in this order, and ends it in the reverse one. */
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  addChallengeRoute,
  BlobStore,
  endOnUncaught,
  LAST_ANSWERS_MS,
  logTo,
  openAccess,
  reloadKeysOnHangup,
  serverFlags,
  warnOfReaders,
} from "@llava/server";
import type { Engine, LoadProgress } from "@llava/engine";
import { isModelName, LlavaError, SAMPLING_LIMITS, toLlavaError } from "@llava/protocol";
import { CommanderError } from "commander";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";
import { pino } from "pino";
import { advertisedAddress } from "./cluster/worker-address.ts";
import { buildApp } from "./worker-app.ts";
import { parseWorkerFlags, type WorkerFlags } from "./worker-options.ts";
import { Heartbeat } from "./cluster/heartbeat.ts";
import { ImageFetcher } from "./images/fetch/image-fetcher.ts";
import { reportOf } from "./cluster/status-report.ts";
import { Service } from "./service/worker-service.ts";

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
  const log: FastifyBaseLogger = pino({ level: flags.logLevel }, logTo(1));
  const access = openAccess(flags, "worker");
  reloadKeysOnHangup(access, log);
  warnOfReaders([flags.clusterTokenFile], log);
  // Native libraries only now: a wrong flag or --help must not wait for them.
  const { modelNameFromPath } = await import("@llava/models");
  const maxWaiting = Math.min(4 * flags.limitModelConcurrency, MAX_WAITING);
  const service = new Service({
    modelName: servedName(flags.modelName ?? modelNameFromPath(resolve(flags.modelPath))),
    limits: { concurrency: flags.limitModelConcurrency, maxWaiting, maxWaitMs: MAX_WAIT_MS },
    logsPrompts: flags.logPrompts ?? false,
    images: { blobs: new BlobStore(), fetcher: imageFetcher(flags) },
  });
  const app = buildApp(service, log, { access, ...serverFlags(flags) });
  let address = "";
  addChallengeRoute(app, access.token, () => ({ address, incarnation: service.incarnation }));
  const port = await listen(app, flags);
  address = flags.workerAddress ?? advertisedAddress(flags.host, port);
  log.info({ address }, "listening; the model is loaded now");
  service.open(await loadEngine(service, flags, log));
  log.info(`${service.modelName} is served on ${address} (${flags.device}).`);
  const heartbeats = flags.register ? startHeartbeats(service, flags, address, access.token, log) : [];
  const stop = (drainMs: number): Promise<void> => stopWorker({ service, app, heartbeats, log, drainMs });
  onStop(() => stop(flags.drainTimeout * 1000));
  endOnUncaught(log, () => stop(LAST_ANSWERS_MS));
  process.send?.({ type: "ready", address });
}

/** Meanwhile the server says how far it is to whoever asks. */
async function loadEngine(service: Service, flags: WorkerFlags, log: FastifyBaseLogger): Promise<Engine> {
  const { Engine } = await import("@llava/engine");
  return await Engine.load(flags.modelPath, {
    device: flags.device,
    maxRunning: flags.limitModelConcurrency,
    // Our own queue is the limit; the engine's must only never be the smaller one, however many answers each wants.
    maxWaiting: SAMPLING_LIMITS.choices * flags.limitModelConcurrency,
    onProgress: (progress) => {
      service.loadProgress = progress;
      tellAboutLoading(progress, log);
    },
    dtype: flags.dtype,
    quantizesVision: flags.quantizeVision ?? false,
    images: { processes: flags.imageProcesses },
    ...(flags.kvCacheMib === undefined ? {} : { cacheBytes: flags.kvCacheMib * 2 ** 20 }),
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    ...(flags.convMode === undefined ? {} : { conversation: flags.convMode }),
  });
}

/** Every step, and every tenth of the bytes; `llava serve`, when that started us, draws all of it. */
function tellAboutLoading(progress: LoadProgress, log: FastifyBaseLogger): void {
  const { done, total, unit } = progress;
  process.send?.({ type: "progress", progress });
  const percent = Math.floor((100 * done) / total);
  if (unit === undefined || percent % 10 === 0) log.info({ ...progress }, "loading");
}

/** Null unless the operator wants images to be fetched. */
function imageFetcher(flags: WorkerFlags): ImageFetcher | null {
  if (flags.allowImageUrls !== true) return null;
  return new ImageFetcher({
    policy: {
      allowsHttp: flags.allowHttpImageUrls === true,
      domains: flags.allowedImageDomain ?? [],
      ports: flags.allowedImagePort ?? [],
      maxRedirects: flags.imageUrlRedirects,
      deniedNetworks: flags.deniedImageNetwork ?? [],
    },
  });
}

/** The name, if controllers can take it. */
function servedName(name: string): string {
  if (isModelName(name)) return name;
  throw new LlavaError(
    "invalid_request",
    `The model's name ${JSON.stringify(name.slice(0, 80))} holds characters that names may not have. ` +
      "Give another one with --model-name: letters, digits, spaces and ._:@+~#=,()[]/\\-, at most 256 characters.",
  );
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

/** One for each controller, so that none waits for another. */
function startHeartbeats(
  service: Service,
  flags: WorkerFlags,
  address: string,
  token: string | null,
  log: FastifyBaseLogger,
): readonly Heartbeat[] {
  return flags.controllerAddress.map((controllerUrl) => {
    const heartbeat = new Heartbeat({
      controllerUrl,
      workerAddress: address,
      status: () => reportOf(service, address),
      intervalMs: flags.heartbeatInterval * 1000,
      token,
      log,
    });
    heartbeat.start();
    return heartbeat;
  });
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
  readonly heartbeats: readonly Heartbeat[];
  readonly log: FastifyBaseLogger;
  readonly drainMs: number;
}

/**
 * Controllers are told first, so that they send nothing new; what runs may end within `drainMs` and is then told that the
 * worker stops; the farewell comes when nothing runs any more.
 */
async function stopWorker({ service, app, heartbeats, log, drainMs }: Running): Promise<void> {
  log.info(`Stopping; running answers get up to ${drainMs / 1000} s to end.`);
  service.retire();
  await Promise.all(heartbeats.map((heartbeat) => heartbeat.reportNow()));
  service.admission.drain();
  await Promise.race([service.admission.idle(), sleep(drainMs)]);
  service.cutOff();
  await Promise.all(heartbeats.map((heartbeat) => heartbeat.leave()));
  await Promise.race([app.close(), sleep(FLUSH_MS)]);
  await service.engine[Symbol.asyncDispose]();
}
