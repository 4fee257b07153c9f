/** Declares where the programs listen and how they find each other. */
import type { OptionRows } from "./option-row.ts";
import { httpUrl, seconds, text, whole } from "./value-readers.ts";

/** Address at which every program looks for its controller when no flag names another. */
export const LOOPBACK_CONTROLLER = "http://127.0.0.1:10000";

const PORT = whole(0, 65_535);
/** End of the refusals by `llava serve`, which starts everything on one machine. */
const ELSEWHERE = 'For parts on several machines run "llava controller", "llava worker" and "llava web"';
const OWN_CONTROLLER = `serve starts its own controller. ${ELSEWHERE}`;

export const ADDRESS_ROWS = {
  host: {
    flags: "--host <name>",
    help: "address to listen on",
    reader: text,
    programs: {
      controller: { default: "127.0.0.1" },
      worker: { default: "127.0.0.1" },
      web: { default: "127.0.0.1" },
      serve: { default: "127.0.0.1", help: "address that the page listens on" },
    },
  },
  port: {
    flags: "--port <number>",
    help: "port to listen on, 0 for any",
    reader: PORT,
    programs: {
      controller: { default: 10_000 },
      worker: { default: 40_000 },
      web: { default: 7860 },
      serve: { default: 7860, help: "port of the page" },
      doctor: { default: 7860, help: "port of the page" },
    },
  },
  controllerPort: {
    flags: "--controller-port <number>",
    help: "port of the controller",
    reader: PORT,
    programs: { serve: { default: 10_000 }, doctor: { default: 10_000 } },
  },
  workerPort: {
    flags: "--worker-port <number>",
    help: "port of the first worker; each further worker takes the next one",
    reader: PORT,
    programs: { serve: { default: 40_000 }, doctor: { default: 40_000, help: "port of the worker" } },
  },
  workerAddress: {
    flags: "--worker, --worker-address <url>",
    help: "address that the controller calls (default: from host and port)",
    reader: httpUrl,
    programs: {
      worker: {},
      serve: { refused: `serve's workers are called on this machine. ${ELSEWHERE}` },
    },
  },
  controllerAddress: {
    flags: "--controller, --controller-address <url>",
    help: "controller to report to; for several separate them by commas or repeat the flag",
    reader: httpUrl,
    several: { separator: ",", most: 16, noun: "controllers" },
    programs: {
      worker: { default: [LOOPBACK_CONTROLLER], defaultText: LOOPBACK_CONTROLLER },
      serve: { refused: OWN_CONTROLLER },
    },
  },
  controllerUrl: {
    flags: "--controller, --controller-url <url>",
    help: "controller to ask",
    reader: httpUrl,
    programs: {
      web: { default: LOOPBACK_CONTROLLER, help: "where the controller is" },
      ps: { default: LOOPBACK_CONTROLLER },
      doctor: { default: LOOPBACK_CONTROLLER },
      serve: { refused: OWN_CONTROLLER },
    },
  },
  controllerKeyFile: {
    flags: "--controller-key-file <file>",
    help: "API key marked admin, where the controller wants one",
    reader: text,
    environment: "LLAVA_API_KEY",
    programs: {
      web: { help: "API key, marked unlimited, that the controller knows this server by" },
      ps: {},
      doctor: {},
      serve: { refused: "serve's page needs no key for serve's controller. Leave the flag out" },
    },
  },
  register: {
    flags: "--no-register",
    help: "report to no controller",
    programs: {
      worker: { default: true },
      serve: { refused: `serve's workers report to its controller. ${ELSEWHERE}` },
    },
  },
  drainTimeout: {
    flags: "--drain-timeout <seconds>",
    help: "time that running answers get to end when stopped",
    reader: seconds,
    programs: { controller: { default: 5 }, worker: { default: 30 }, serve: { default: 5 } },
  },
} as const satisfies OptionRows;
