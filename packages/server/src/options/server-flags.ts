/** The flags that every server has, and what they make of its door. */
import { Command, InvalidArgumentError, Option } from "commander";
import type { FastifyBaseLogger } from "fastify";
import { isReadableByOthers } from "../auth/api-keys.ts";
import type { Access } from "../auth/access.ts";
import type { ServerOptions } from "../server.ts";

export interface DoorFlags {
  readonly host: string;
  readonly apiKeyFile?: string;
  readonly clusterTokenFile?: string;
  readonly allowAnonymous?: boolean;
  readonly allowedHost?: readonly string[];
  readonly clientRequestsPerMinute?: number;
  readonly clientBurst?: number;
  readonly clientConcurrency?: number;
  readonly maxConnections?: number;
}

const DOOR_HELP = `
Who is let in:
  On 127.0.0.1, which is the default, programs of this machine need no key. On any other --host the server wants
  --api-key-file, --cluster-token-file or --allow-anonymous.
  llava keys add anna --file keys.txt      makes a key, shows it once and keeps its hash
  kill -HUP PID                            reads the file of keys again
  openssl rand -hex 32 > cluster.txt       makes a cluster token; controller and workers get the same
  The token signs the requests between controller and workers, their bodies too up to 64 KiB, of larger ones the
  length. It does not encrypt: between machines use a private network or TLS.`;

export function addDoorFlags(command: Command, { hasCluster }: { readonly hasCluster: boolean }): Command {
  command.addOption(
    new Option(
      "--api-key-file <file>",
      'lines "name sha256hex [admin] [unlimited]"; only these keys are served',
    ),
  );
  if (hasCluster) {
    command.addOption(
      new Option(
        "--cluster-token-file <file>",
        "secret of the cluster's controller and workers (or LLAVA_CLUSTER_TOKEN in the environment)",
      ),
    );
  }
  return command
    .addOption(new Option("--allow-anonymous", "serve everybody who can reach the address"))
    .addOption(
      new Option(
        "--allowed-host <name>",
        "name by which browsers know this server; repeat for several",
      ).argParser(collect),
    )
    .addOption(
      new Option(
        "--client-requests-per-minute <number>",
        "for each key, or address without one (default: 60; uncounted on this machine without keys)",
      ).argParser(whole(1, 1_000_000)),
    )
    .addOption(
      new Option("--client-burst <number>", "requests at once before that counts (default: 10)").argParser(
        whole(1, 100_000),
      ),
    )
    .addOption(
      new Option(
        "--client-concurrency <number>",
        "requests of one client at the same time (default: 4)",
      ).argParser(whole(1, 100_000)),
    )
    .addOption(
      new Option("--max-connections <number>", "open connections (default: 2000)").argParser(
        whole(1, 1_000_000),
      ),
    )
    .addHelpText("after", DOOR_HELP);
}

/** The same flags as a command line, for a server that is started as a child. Its host is given apart. */
export function doorArguments(flags: DoorFlags): string[] {
  const valued = {
    "--api-key-file": flags.apiKeyFile,
    "--cluster-token-file": flags.clusterTokenFile,
    "--client-requests-per-minute": flags.clientRequestsPerMinute,
    "--client-burst": flags.clientBurst,
    "--client-concurrency": flags.clientConcurrency,
    "--max-connections": flags.maxConnections,
  };
  return [
    ...(flags.allowAnonymous === true ? ["--allow-anonymous"] : []),
    ...(flags.allowedHost ?? []).flatMap((name) => ["--allowed-host", name]),
    ...Object.entries(valued).flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)])),
  ];
}

/** What the flags say about the server, beside whom it lets in. */
export function serverFlags(flags: DoorFlags): Pick<ServerOptions, "hosts" | "clients" | "connections"> {
  const clients = {
    ...(flags.clientRequestsPerMinute === undefined
      ? {}
      : { requestsPerMinute: flags.clientRequestsPerMinute }),
    ...(flags.clientBurst === undefined ? {} : { burst: flags.clientBurst }),
    ...(flags.clientConcurrency === undefined ? {} : { concurrent: flags.clientConcurrency }),
  };
  return {
    hosts: [flags.host, ...(flags.allowedHost ?? [])],
    clients: Object.keys(clients).length === 0 ? null : clients,
    connections: flags.maxConnections === undefined ? {} : { total: flags.maxConnections },
  };
}

/** SIGHUP reads the keys again; a file that is wrong changes nothing and is told in the log. */
export function reloadKeysOnHangup({ keys }: Access, log: FastifyBaseLogger): void {
  if (keys === null) return;
  if (keys.isReadableByOthers) log.warn("others can read the file of API keys; chmod 600 it");
  process.on("SIGHUP", () => {
    try {
      log.info({ keys: keys.reload() }, "API keys read again");
    } catch (err) {
      log.error({ err }, "API keys not read again; the old ones stay");
    }
  });
}

/** Tells of files with secrets that other users of this machine can read. */
export function warnOfReaders(
  files: readonly (string | undefined)[],
  log: Pick<FastifyBaseLogger, "warn">,
): void {
  for (const file of files) {
    if (file !== undefined && isReadableByOthers(file)) {
      log.warn({ file }, "others can read this file, which holds a secret; chmod 600 it");
    }
  }
}

function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}
