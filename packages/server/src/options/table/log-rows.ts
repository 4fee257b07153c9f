/** Declares what the programs write into their logs. */
import type { OptionRows } from "./option-row.ts";
import { choice } from "./value-readers.ts";

export const LOG_ROWS = {
  logLevel: {
    flags: "--log-level <level>",
    help: "least important line to log",
    reader: choice(["trace", "debug", "info", "warn", "error", "fatal", "silent"]),
    programs: {
      controller: { default: "info" },
      worker: { default: "info" },
      web: { default: "warn" },
      serve: {
        passedTo: ["controller", "worker", "web"],
        help: "least important line that the programs log; --verbose shows them",
      },
    },
  },
  logPrompts: {
    flags: "--log-prompts",
    help: "write what is asked into the worker's log; images never are",
    programs: { worker: {}, serve: { passedTo: ["worker"] } },
  },
  verbose: {
    flags: "--verbose",
    help: "show what the programs log",
    programs: { serve: { default: false } },
  },
} as const satisfies OptionRows;
