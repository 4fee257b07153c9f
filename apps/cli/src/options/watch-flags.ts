/** The command lines of `llava ps` and `llava doctor`, which both look at a controller from outside. */
import { Command, InvalidArgumentError, Option } from "commander";
import { DEMO_MODEL } from "./cli-flags.ts";

export interface ControllerFlags {
  /** Without a slash at the end. */
  readonly controllerUrl: string;
  readonly controllerKeyFile?: string;
}

export interface PsFlags extends ControllerFlags {
  readonly json: boolean;
  /** Seconds between two looks; true is the default interval. */
  readonly watch?: number | true;
}

export interface DoctorFlags extends ControllerFlags {
  readonly modelPath: string;
  readonly device?: string;
  readonly port: number;
  readonly controllerPort: number;
  readonly workerPort: number;
}

export const CONTROLLER_URL = "http://127.0.0.1:10000";
export const WATCH_S = 2;

const PS_EXAMPLES = `
Examples:
  llava ps                                        workers of the controller on this machine
  llava ps --watch                                again every ${WATCH_S} s until Ctrl-C
  llava ps --controller http://10.0.0.5:10000 --controller-key-file admin-key.txt
  llava ps --json | jq '.data[].address'          for programs

Columns:
  STATE     ready, or draining: it finishes what runs and takes nothing new; "left alone" when it kept failing
  QUEUE     requests in the worker, running and waiting
  RUNNING   requests that have a place, of how many places
  TOK/S     of all its answers together, mean of 10 s, as it last said
  -         is not known; workers of the original project say little`;

const DOCTOR_EXAMPLES = `
Examples:
  llava doctor                                    this machine, before the first start or when something is wrong
  llava doctor --model-path ./llava-v1.5-7b-hf --device cuda
  llava doctor --controller http://10.0.0.5:10000 --controller-key-file admin-key.txt

Each line begins with "ok", "note" (nothing to do unless you want it) or "wrong" (what to do is said). The exit code is 1
when one is wrong.`;

export function addPsFlags(command: Command): Command {
  return addControllerFlags(command)
    .option("--json", "print what the controller says as JSON", false)
    .addOption(
      new Option(
        "--watch [seconds]",
        `look again and again, every ${WATCH_S} s if not said otherwise`,
      ).argParser(seconds),
    )
    .addHelpText("after", PS_EXAMPLES);
}

export function addDoctorFlags(command: Command): Command {
  return addControllerFlags(command)
    .addOption(
      new Option("--model-path <folder>", "folder of a LLaVA checkpoint to look at").default(
        DEMO_MODEL,
        "the demo model",
      ),
    )
    .option("--device <device>", "the device that must be there: cpu, cuda, cuda:N or webgpu")
    .addOption(new Option("--port <number>", "port of the page").default(7860).argParser(port))
    .addOption(
      new Option("--controller-port <number>", "port of the controller").default(10_000).argParser(port),
    )
    .addOption(new Option("--worker-port <number>", "port of the worker").default(40_000).argParser(port))
    .addHelpText("after", DOCTOR_EXAMPLES);
}

function addControllerFlags(command: Command): Command {
  return command
    .addOption(
      new Option("--controller, --controller-url <url>", "controller to ask")
        .default(CONTROLLER_URL)
        .argParser(httpUrl),
    )
    .option(
      "--controller-key-file <file>",
      "API key marked admin, where the controller wants one (or LLAVA_API_KEY in the environment)",
    );
}

function httpUrl(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol === "http:" || url?.protocol === "https:") return url.href.replace(/\/+$/, "");
  throw new InvalidArgumentError("Give an address such as http://10.0.0.5:10000.");
}

function port(text: string): number {
  const value = Number(text);
  if (/^\d{1,5}$/.test(text) && value <= 65_535) return value;
  throw new InvalidArgumentError("Give a whole number from 0 to 65535.");
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 0.1 && value <= 86_400) return value;
  throw new InvalidArgumentError("Give a number of seconds from 0.1 to 86400.");
}
