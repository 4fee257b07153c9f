/** `llava ps`: the workers of a controller, once or again and again. */
import { setTimeout as sleep } from "node:timers/promises";
import { toLlavaError } from "@llava/protocol";
import { controllerOf, workersOf, type Controller } from "./controller-view.ts";
import { psTable } from "./ps-table.ts";
import { WATCH_S } from "@llava/server/command";
import type { PsFlags } from "../command-options.ts";

/** Cursor home, then all below it cleared: what stands there is written over, without a flash. */
const CLEAR = "\u001B[H\u001B[J";

/** A failure is thrown as LlavaError; while watching it is shown, since the controller may come back. */
export async function ps(flags: PsFlags): Promise<void> {
  const controller = controllerOf(flags);
  if (flags.watch === undefined) return await show(controller, flags.json);
  const intervalMs = (flags.watch === true ? WATCH_S : flags.watch) * 1000;
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
  while (!stop.signal.aborted) {
    if (process.stdout.isTTY && !flags.json) process.stdout.write(CLEAR);
    await show(controller, flags.json).catch((thrown: unknown) => tell(toLlavaError(thrown).message));
    await sleep(intervalMs, undefined, { signal: stop.signal }).catch(() => undefined);
  }
}

/** JSON is one line, so that a program that watches reads a line at a time. */
async function show(controller: Controller, isJson: boolean): Promise<void> {
  const list = await workersOf(controller);
  process.stdout.write(isJson ? `${JSON.stringify(list)}\n` : psTable(list));
  if (list.data.length === 0 && !isJson) tell('There are no workers. Start one with "llava worker".');
}

function tell(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}
