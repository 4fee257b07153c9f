/**
 * Runs the web server as a process: flags, listening, the message to the parent process that it is ready, and a clean
 * end.
 */
import {
  addDoorFlags,
  logTo,
  openAccess,
  readSecretFile,
  reloadKeysOnHangup,
  serverFlags,
  warnOfReaders,
  type DoorFlags,
} from "@llava/server";
import { LlavaError } from "@llava/protocol";
import { Command, InvalidArgumentError } from "commander";
import { pino } from "pino";

import { createApp } from "./web-app.ts";
import { openConversationLog } from "./log/conversation-log.ts";

interface Flags extends DoorFlags {
  readonly port: number;
  readonly controllerUrl: string;
  readonly controllerKeyFile?: string;
  readonly pageFolder?: string;
  readonly logLevel: string;
  readonly conversationLog?: string;
  readonly shortenAddresses?: boolean;
}

await main().catch((thrown: unknown) => {
  process.stderr.write(`llava web: ${sentenceOf(thrown)}\n`);
  process.exit(1);
});

async function main(): Promise<void> {
  const flags = readFlags();
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

function readFlags(): Flags {
  const command = new Command("llava web")
    .description("Serves the page and hands its questions to the controller.")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--port <number>", "port to listen on; 0 takes a free one", port, 7860)
    .option(
      "--controller, --controller-url <url>",
      "where the controller is",
      httpUrl,
      "http://127.0.0.1:10000",
    )
    .option(
      "--controller-key-file <file>",
      "API key that the controller knows this server by (or LLAVA_API_KEY in the environment); mark it unlimited there",
    )
    .option("--page-folder <folder>", "where the built page lies, if not beside this program")
    .option(
      "--conversation-log <folder>",
      "write down what people ask and get, with their images, in files of LLaVA's format; tell them so",
    )
    .option(
      "--shorten-addresses",
      "write only the network of a client's address there: 24 bits of IPv4, 48 of IPv6",
    )
    .option("--log-level <level>", "trace, debug, info, warn, error or silent", "warn");
  return addDoorFlags(command, { hasCluster: false }).parse().opts<Flags>();
}

function port(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= 65_535) return value;
  throw new InvalidArgumentError("A port is a whole number from 0 to 65535.");
}

/** The URL without a trailing slash. */
function httpUrl(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol === "http:" || url?.protocol === "https:") return url.href.replace(/\/+$/, "");
  throw new InvalidArgumentError("It must be an address like http://127.0.0.1:10000.");
}

function sentenceOf(thrown: unknown): string {
  if (thrown instanceof LlavaError) return thrown.message;
  if (thrown instanceof Error && "code" in thrown && thrown.code === "EADDRINUSE") {
    return "The port is in use already. End the other program, or choose another port with --port.";
  }
  return thrown instanceof Error ? thrown.message : String(thrown);
}
