/** Reads the controller's command line, without a process, so that tests reach every flag and every refusal. */
import { addDoorFlags, isNetwork, type DoorFlags } from "@llava/server";
import { Command, InvalidArgumentError, Option } from "commander";
import { DISPATCH_METHODS, type DispatchMethod } from "./registry/dispatch.ts";

export interface ControllerFlags extends DoorFlags {
  readonly port: number;
  readonly dispatchMethod: DispatchMethod;
  /** The silence in seconds after which a worker is dropped. */
  readonly heartbeatExpiry: number;
  /** The seconds that running answers get to end when the controller stops. */
  readonly drainTimeout: number;
  /** The seconds after which an answer is ended. */
  readonly requestDeadline: number;
  readonly logLevel: string;
  /** The networks in which the addresses of workers must lie; anywhere when absent. */
  readonly workerNetwork?: readonly string[];
}

const EXAMPLES = `
Examples:
  llava controller
  llava controller --host 0.0.0.0 --api-key-file keys.txt --cluster-token-file cluster.txt
                                                      reachable from other machines, with a key
  llava controller --dispatch-method lottery          by speed alone, whatever waits
  llava controller --dispatch-method image_affinity   back to the worker that has seen the image, unless it is busy`;

/** @throws CommanderError on a usage error or after --help, with `exitCode` */
export function parseControllerFlags(
  argv: readonly string[],
  write?: (text: string) => void,
): ControllerFlags {
  const command = controllerCommand();
  if (write !== undefined) command.configureOutput({ writeOut: write, writeErr: write });
  command.parse([...argv], { from: "user" });
  return command.opts<ControllerFlags>();
}

function controllerCommand(): Command {
  const command = new Command("llava controller")
    .description("Keeps a table of workers, picks one for each request and relays its answer.")
    .helpOption("-h, --help", "show this help")
    .addHelpText("after", EXAMPLES)
    .allowExcessArguments(false)
    .exitOverride()
    .addOption(new Option("--host <name>", "address to listen on").default("127.0.0.1"))
    .addOption(new Option("--port <number>", "port to listen on, 0 for any").default(10_000).argParser(port))
    .addOption(
      // The original's command line takes unambiguous beginnings of flags; only this one is long enough to be shortened.
      new Option("--dispatch, --dispatch-method <method>", "how a worker is picked")
        .choices([...DISPATCH_METHODS])
        .default("shortest_queue"),
    )
    .addOption(
      new Option("--heartbeat-expiry <seconds>", "silence after which a worker is dropped")
        .default(30)
        .argParser(seconds),
    )
    .addOption(
      new Option("--drain-timeout <seconds>", "time that running answers get to end when stopped")
        .default(5)
        .argParser(seconds),
    )
    .addOption(
      new Option("--request-deadline <seconds>", "time after which an answer is ended, however far it is")
        .default(900)
        .argParser(seconds),
    )
    .addOption(
      new Option("--log-level <level>", "least important line to log")
        .default("info")
        .choices(["trace", "debug", "info", "warn", "error", "fatal", "silent"]),
    )
    .addOption(
      new Option(
        "--worker-network <network>",
        "take workers at addresses in this network only, such as 10.1.0.0/16; repeat for several",
      ).argParser(networks),
    );
  return addDoorFlags(command, { hasCluster: true });
}

function port(text: string): number {
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value > 65_535) {
    throw new InvalidArgumentError("Give a whole number from 0 to 65535.");
  }
  return value;
}

function networks(text: string, earlier: readonly string[] = []): readonly string[] {
  if (isNetwork(text)) return [...earlier, text];
  throw new InvalidArgumentError("Give a network such as 10.1.0.0/16 or fd00::/8.");
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value <= 0 || value > 86_400) {
    throw new InvalidArgumentError("Give a number of seconds above 0, up to 86400.");
  }
  return value;
}
