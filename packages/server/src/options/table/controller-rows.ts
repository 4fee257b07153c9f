/** Declares the controller's own options. */
import { choice, network, seconds } from "./value-readers.ts";
import type { OptionRows } from "./option-row.ts";

export const CONTROLLER_ROWS = {
  dispatchMethod: {
    // LLaVA's command line (argparse) takes unambiguous beginnings of flags; this is the one that is long enough to matter.
    flags: "--dispatch, --dispatch-method <method>",
    help: "how a worker is picked",
    reader: choice(["lottery", "shortest_queue", "power_of_two", "image_affinity"]),
    programs: { controller: { default: "shortest_queue" }, serve: { passedTo: ["controller"] } },
  },
  heartbeatExpiry: {
    flags: "--heartbeat-expiry <seconds>",
    help: "silence after which a worker is dropped",
    reader: seconds,
    programs: { controller: { default: 30 }, serve: { passedTo: ["controller"] } },
  },
  requestDeadline: {
    flags: "--request-deadline <seconds>",
    help: "time after which an answer is ended, however far it is",
    reader: seconds,
    programs: { controller: { default: 900 }, serve: { passedTo: ["controller"] } },
  },
  workerNetwork: {
    flags: "--worker-network <network>",
    help: "take workers at addresses in this network only, such as 10.1.0.0/16; repeat for several",
    reader: network,
    several: {},
    programs: {
      controller: {},
      serve: { refused: "serve's workers are on this machine. Leave the flag out" },
    },
  },
} as const satisfies OptionRows;
