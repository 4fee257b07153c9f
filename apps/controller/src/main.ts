/** Runs the controller: flags, logs, one ready line, and an orderly end on SIGTERM, Ctrl-C or when its parent is gone. */
import {
  endOnUncaught,
  LAST_ANSWERS_MS,
  logTo,
  openAccess,
  reloadKeysOnHangup,
  serverFlags,
  warnOfReaders,
} from "@llava/server";
import { LlavaError } from "@llava/protocol";
import { CommanderError } from "commander";
import type { FastifyBaseLogger } from "fastify";
import { pino } from "pino";
import { createController, type Controller } from "./controller-app.ts";
import { parseControllerFlags, type ControllerFlags } from "./controller-options.ts";

async function main(): Promise<void> {
  const flags = parseControllerFlags(process.argv.slice(2));
  const log: FastifyBaseLogger = pino({ level: flags.logLevel }, logTo(1));
  const access = openAccess(flags, "controller");
  reloadKeysOnHangup(access, log);
  warnOfReaders([flags.clusterTokenFile], log);
  const controller = createController({
    access,
    server: serverFlags(flags),
    dispatchMethod: flags.dispatchMethod,
    heartbeatExpiryMs: flags.heartbeatExpiry * 1000,
    workerNetworks: flags.workerNetwork ?? [],
    limits: { totalMs: flags.requestDeadline * 1000 },
    log,
  });
  endOrderly(controller, flags, log);
  endOnUncaught(log, () => controller.shutdown(LAST_ANSWERS_MS));
  const address = await controller.app.listen({ host: flags.host, port: flags.port });
  log.info({ address }, "ready");
  process.send?.({ type: "ready", address });
}

function endOrderly(controller: Controller, flags: ControllerFlags, log: FastifyBaseLogger): void {
  let isEnding = false;
  const end = (reason: string): void => {
    if (isEnding) return;
    isEnding = true;
    log.info({ reason }, "stopping");
    controller.shutdown(flags.drainTimeout * 1000).then(
      () => process.exit(0),
      (err: unknown) => {
        log.error({ err }, "could not stop in order");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  process.on("disconnect", () => end("parent gone"));
}

main().catch((thrown: unknown) => {
  if (thrown instanceof CommanderError) process.exit(thrown.exitCode);
  if (thrown instanceof LlavaError) process.stderr.write(`${thrown.message}\n`);
  else process.stderr.write(startFailure(thrown));
  process.exit(1);
});

function startFailure(thrown: unknown): string {
  const isTaken = thrown instanceof Error && "code" in thrown && thrown.code === "EADDRINUSE";
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return isTaken
    ? `The controller's port is taken (${reason}). End the other program, or choose a port with --port.\n`
    : `The controller could not start: ${reason}.\n`;
}
