/** Runs `llava ps`: prints the workers of a controller, once or repeatedly. */
import { setTimeout as sleep } from "node:timers/promises";
import { toLlavaError } from "@llava/protocol";
import { controllerOf, workersOf, type Controller } from "./controller-view.ts";
import { psTable } from "./ps-table.ts";
import { WATCH_S } from "@llava/server/command";
import type { PsFlags } from "../options/command-options.ts";

/** ANSI sequences that move the cursor home and clear below it, so that the table is replaced without flicker. */
const CLEAR = "\u001B[H\u001B[J";

/** Throws LlavaErrors; while watching they are printed, as the controller may come back. */
export async function ps(flags: PsFlags): Promise<void> {
  const controller = controllerOf(flags);
  if (flags.watch === undefined) return await show(controller, flags.json);
  const intervalMs = (flags.watch === true ? WATCH_S : flags.watch) * 1000;
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
  while (!stop.signal.aborted) {
    if (process.stdout.isTTY && !flags.json) process.stdout.write(CLEAR);
    await show(controller, flags.json).catch((thrown: unknown) => printNotice(toLlavaError(thrown).message));
    await sleep(intervalMs, undefined, { signal: stop.signal }).catch(() => undefined);
  }
}

/** Prints JSON as one line, so that a program can read one state per line. */
async function show(controller: Controller, isJson: boolean): Promise<void> {
  const list = await workersOf(controller);
  process.stdout.write(isJson ? `${JSON.stringify(list)}\n` : psTable(list));
  if (list.data.length === 0 && !isJson) printNotice('There are no workers. Start one with "llava worker".');
}

function printNotice(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}
