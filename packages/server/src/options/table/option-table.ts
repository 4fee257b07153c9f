/** Holds every flag of every program, each declared once; command lines, `llava serve` and the reference derive from it. */
import type { OptionRow, ProgramName, ValuesOf } from "./option-row.ts";
import { ACCESS_ROWS } from "./access-rows.ts";
import { ADDRESS_ROWS } from "./address-rows.ts";
import { CONTROLLER_ROWS } from "./controller-rows.ts";
import { LOG_ROWS } from "./log-rows.ts";
import { MODEL_ROWS } from "./model-rows.ts";
import { TERMINAL_ROWS } from "./terminal-rows.ts";
import { WEB_ROWS } from "./web-rows.ts";
import { WORKER_ROWS } from "./worker-rows.ts";

/** By the name of the value in a program, which commander derives from the last of the flag's names. */
const OPTION_TABLE = {
  ...MODEL_ROWS,
  ...ADDRESS_ROWS,
  ...CONTROLLER_ROWS,
  ...WEB_ROWS,
  ...LOG_ROWS,
  ...WORKER_ROWS,
  ...TERMINAL_ROWS,
  ...ACCESS_ROWS,
} as const;

/** The values that a program's command line gives. */
export type OptionsOf<Program extends ProgramName> = ValuesOf<typeof OPTION_TABLE, Program>;

export const OPTION_ROWS: ReadonlyMap<string, OptionRow> = new Map(Object.entries(OPTION_TABLE));

/** The variables of the environment that hold no flag's value. */
export const ENVIRONMENT = {
  LLAVA_CACHE: "folder of quantized weights (default: `llava` in the user's cache folder)",
  UV_THREADPOOL_SIZE: "threads of Node's pool in a worker; `llava` sets 8 where it is not set",
} as const;
