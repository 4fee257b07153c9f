/** Declares which requests a server answers and how many of them: keys, the cluster's token, rates, connections. */
import { TOKEN_VARIABLE } from "../../auth/access.ts";
import type { OptionRows } from "./option-row.ts";
import { text, whole } from "./value-readers.ts";

/** `llava serve` passes these to the page's server, the only one of its programs that other machines can reach. */
const EVERY_SERVER = { controller: {}, worker: {}, web: {}, serve: { passedTo: ["web"] } } as const;

export const ACCESS_ROWS = {
  apiKeyFile: {
    flags: "--api-key-file <file>",
    help: 'lines "name sha256hex [admin] [unlimited]"; only these keys are served',
    reader: text,
    programs: EVERY_SERVER,
  },
  clusterTokenFile: {
    flags: "--cluster-token-file <file>",
    help: "secret of the cluster's controller and workers",
    reader: text,
    environment: TOKEN_VARIABLE,
    programs: {
      controller: {},
      worker: {},
      serve: {
        refused: `serve makes a token for its own programs. Leave the flag out, or set ${TOKEN_VARIABLE} in the environment`,
      },
    },
  },
  allowAnonymous: {
    flags: "--allow-anonymous",
    help: "serve everybody who can reach the address",
    programs: EVERY_SERVER,
  },
  allowedHost: {
    flags: "--allowed-host <name>",
    help: "name by which browsers know this server; repeat for several",
    reader: text,
    several: {},
    programs: EVERY_SERVER,
  },
  clientRequestsPerMinute: {
    flags: "--client-requests-per-minute <number>",
    help: "for each key, or address without one (default: 60; uncounted on this machine without keys)",
    reader: whole(1, 1_000_000),
    programs: EVERY_SERVER,
  },
  clientBurst: {
    flags: "--client-burst <number>",
    help: "requests at once before that counts (default: 10)",
    reader: whole(1, 100_000),
    programs: EVERY_SERVER,
  },
  clientConcurrency: {
    flags: "--client-concurrency <number>",
    help: "requests of one client at the same time (default: 4)",
    reader: whole(1, 100_000),
    programs: EVERY_SERVER,
  },
  maxConnections: {
    flags: "--max-connections <number>",
    help: "open connections (default: 2000)",
    reader: whole(1, 1_000_000),
    programs: EVERY_SERVER,
  },
} as const satisfies OptionRows;
