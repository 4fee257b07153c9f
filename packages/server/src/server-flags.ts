/** Makes a server's settings of the options that every server has, and looks after its files of secrets. */
import type { FastifyBaseLogger } from "fastify";
import { isReadableByOthers } from "./auth/api-keys.ts";
import type { Access } from "./auth/access.ts";
import type { ServerOptions } from "./server.ts";
import type { OptionsOf } from "./options/table/option-table.ts";

/** The options of a server's command line that decide which hosts, clients and connections it takes. */
type ServerFlags = Pick<
  OptionsOf<"web">,
  "host" | "allowedHost" | "clientRequestsPerMinute" | "clientBurst" | "clientConcurrency" | "maxConnections"
>;

/** Settings beside `access`, which reads files and is opened by itself. */
export function serverFlags(flags: ServerFlags): Pick<ServerOptions, "hosts" | "clients" | "connections"> {
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

/** Reads the keys again on SIGHUP; a wrong file changes nothing and is reported in the log. */
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

/** Warns of files with secrets that other users of this machine can read. */
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
