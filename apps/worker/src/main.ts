/** Starts a worker: flags, server, backend, controllers, in this order. */
import { resolve } from "node:path";
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
import { toLlavaError } from "@llava/protocol";
import { CommanderError } from "commander";
import type { FastifyBaseLogger } from "fastify";
import { pino } from "pino";
import { advertisedAddress } from "./cluster/worker-address.ts";
import { startHeartbeats } from "./cluster/heartbeat.ts";
import { reportOf } from "./cluster/status-report.ts";
import { ImageFetcher } from "./images/fetch/image-fetcher.ts";
import { servedName } from "./service/served-name.ts";
import { WorkerService } from "./service/worker-service.ts";
import { buildApp } from "./worker-app.ts";
import { listen } from "./worker-listen.ts";
import { loadLocalBackend } from "./worker-load.ts";
import { parseWorkerFlags, type WorkerFlags } from "./worker-options.ts";
import { onStopSignal, stopWorker } from "./worker-stop.ts";

await main();

async function main(): Promise<void> {
  // `llava serve` started this process and is gone: nothing else would ever stop it.
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
  const service = new WorkerService({
    modelName: servedName(flags.modelName ?? modelNameFromPath(resolve(flags.modelPath))),
    logsPrompts: flags.logPrompts ?? false,
    images: { blobs: new BlobStore(), fetcher: imageFetcher(flags) },
  });
  const app = buildApp(service, log, { access, ...serverFlags(flags) });
  let address = "";
  addChallengeRoute(app, access.token, () => ({ address, incarnation: service.incarnation }));
  const port = await listen(app, flags);
  address = flags.workerAddress ?? advertisedAddress(flags.host, port);
  log.info({ address }, "listening; the model is loaded now");
  service.open(await loadLocalBackend(flags, service, log));
  log.info(`${service.modelName} is served on ${address} (${flags.device}).`);
  const controllers = flags.register ? flags.controllerAddress : [];
  const heartbeats = startHeartbeats(controllers, {
    workerAddress: address,
    status: () => reportOf(service, address),
    intervalMs: flags.heartbeatInterval * 1000,
    token: access.token,
    log,
  });
  const stop = (drainMs: number): Promise<void> => stopWorker({ service, app, heartbeats, log, drainMs });
  onStopSignal(() => stop(flags.drainTimeout * 1000));
  endOnUncaught(log, () => stop(LAST_ANSWERS_MS));
  process.send?.({ type: "ready", address });
}

/** Null unless images may be fetched by their addresses. */
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
