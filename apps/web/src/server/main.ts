/**
 * Runs the web server as a process: flags, listening, the message to the parent process that it is ready, and a clean
 * end.
 */
import {
  logTo,
  openAccess,
  readSecretFile,
  reloadKeysOnHangup,
  serverFlags,
  warnOfReaders,
} from "@llava/server";
import { LlavaError } from "@llava/protocol";
import { CommanderError } from "commander";
import { pino } from "pino";

import { createApp } from "./web-app.ts";
import { openConversationLog } from "./log/conversation-log.ts";
import { parseWebFlags } from "./web-options.ts";

await main().catch((thrown: unknown) => {
  if (thrown instanceof CommanderError) process.exit(thrown.exitCode);
  process.stderr.write(`llava web: ${sentenceOf(thrown)}\n`);
  process.exit(1);
});

async function main(): Promise<void> {
  const flags = parseWebFlags(process.argv.slice(2));
  const logger = pino({ name: "web", level: flags.logLevel }, logTo(2));
  const access = openAccess(flags, "web");
  reloadKeysOnHangup(access, logger);
  warnOfReaders([flags.controllerKeyFile], logger);
  const controllerKey = takeControllerKey(flags.controllerKeyFile);
  const folder = flags.conversationLog;
  const conversations =
    folder === undefined
      ? {}
      : {
          conversations: await openConversationLog({
            folder,
            log: logger,
            shortensAddresses: flags.shortenAddresses === true,
          }),
        };
  const app = await createApp({
    controllerUrl: flags.controllerUrl,
    logger,
    server: { access, ...serverFlags(flags) },
    ...(flags.pageFolder === undefined ? {} : { pageFolder: flags.pageFolder }),
    ...(controllerKey === undefined ? {} : { controllerKey }),
    ...conversations,
  });
  let isStopping = false;
  const stop = (): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    void app.close().then(() => process.exit(0));
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("disconnect", stop);
  const address = await app.listen({ host: flags.host, port: flags.port });
  if (process.send) process.send({ type: "ready", address });
  else process.stdout.write(`The page is at ${address}\n`);
}

/** The key from the file, otherwise from the environment, from which it is removed. */
function takeControllerKey(file: string | undefined): string | undefined {
  const inherited = process.env["LLAVA_API_KEY"];
  delete process.env["LLAVA_API_KEY"];
  return file === undefined ? inherited : readSecretFile(file, "controller's API key");
}

function sentenceOf(thrown: unknown): string {
  if (thrown instanceof LlavaError) return thrown.message;
  if (thrown instanceof Error && "code" in thrown && thrown.code === "EADDRINUSE") {
    return "The port is in use already. End the other program, or choose another port with --port.";
  }
  return thrown instanceof Error ? thrown.message : String(thrown);
}
