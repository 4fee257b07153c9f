/** Checks what must hold for a fleet after the last fault, when it can be asked again. */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { ask, type Question } from "./recorded-ask.ts";
import { HEARTBEAT_MS, type Fleet } from "../fleet/proxied-fleet.ts";
import type { Verdict } from "./history.ts";
import { footprint, type Footprint, type Program } from "../fleet/server-program.ts";
import { call } from "./watcher.ts";

/** The time that a busy machine gets beyond what a rule allows. */
const SLACK_MS = 5_000;
/** How long the counts of requests may take to return to zero. */
const CALM_MS = 15_000;
/** The growth of a process since its start that is no fault: caches that filled, not leaks that grow. */
const GROWTH = { factor: 1.5, rssMiB: 96, numFiles: 16 } as const;

const statusSchema = z.object({ queue_length: z.number() });
const healthSchema = z.object({ workers: z.number(), streams: z.number() });

/** I10: all workers are asked again within two heartbeats of the last fault. */
export async function checkReturn(fleet: Fleet, question: Question, answer: string): Promise<Verdict> {
  const startMs = performance.now();
  const target = { url: fleet.controller.proxy.url, key: fleet.key, way: "relayed" } as const;
  const behavior = { isStream: false, leaveAfter: null, pauseMs: 0, timeoutMs: 60_000 };
  let isBack = false;
  let backMs = 0;
  while (!isBack && performance.now() - startMs < 60_000) {
    const askedMs = performance.now();
    const { text, ending } = await ask(target, question, 0, behavior);
    const health = healthSchema.safeParse((await call(`${fleet.controller.address}/health`, {}))?.body);
    isBack = ending.kind === "whole" && text === answer && health.data?.workers === fleet.workers.length;
    backMs = askedMs - startMs;
    if (!isBack) await sleep(100);
  }
  const limitMs = 2 * HEARTBEAT_MS + SLACK_MS;
  const faults =
    isBack && backMs <= limitMs ? [] : [`after ${Math.round(backMs)} ms ${isBack ? "only" : "not"}`];
  return {
    name: "I10",
    rule: "all workers are asked again within two heartbeats of the last fault",
    checked: 1,
    faults,
  };
}

/** I6: no request is counted that does not run. */
export async function checkEmpty(fleet: Fleet): Promise<Verdict> {
  const startMs = performance.now();
  let faults: readonly string[] = [];
  do {
    faults = await countsLeft(fleet);
    if (faults.length > 0) await sleep(250);
  } while (faults.length > 0 && performance.now() - startMs < CALM_MS);
  const rule = "queues, slots, permits and leases are zero without requests";
  return { name: "I6", rule, checked: fleet.workers.length + 1, faults };
}

async function countsLeft({ controller, workers, key }: Fleet): Promise<readonly string[]> {
  const headers = { authorization: `Bearer ${key}` };
  const health = healthSchema.safeParse((await call(`${controller.address}/health`, {}))?.body);
  const faults = health.data?.streams === 0 ? [] : [`the controller relays ${health.data?.streams}`];
  for (const { address, proxy } of workers) {
    const status = await call(`${address}/worker_get_status`, { method: "POST", headers });
    const queue = statusSchema.safeParse(status?.body).data?.queue_length;
    if (queue !== 0) faults.push(`the queue of ${proxy.url} is ${queue}`);
  }
  // The controller's own count: the sum over its workers of their reports and of the requests given to them since.
  const whole = await call(`${controller.address}/worker_get_status`, { method: "POST", headers });
  const sum = statusSchema.safeParse(whole?.body).data?.queue_length;
  if (sum !== 0) faults.push(`the controller counts ${sum} in all queues`);
  return faults;
}

/** I12: no process has much more memory and files than one that was just started and used a little. */
export function checkFootprints(fleet: Fleet, baseline: ReadonlyMap<string, Footprint>): Verdict {
  const faults: string[] = [];
  const programs = [fleet.controller, ...fleet.workers].map(({ program }) => program);
  for (const program of programs) {
    const now = footprint(program);
    const before = baseline.get(program.name);
    if (now === null || before === undefined) continue;
    const most = before.rssMiB * GROWTH.factor + GROWTH.rssMiB;
    if (now.rssMiB > most) faults.push(`${nameOf(program)}: ${describe(now)}, at first ${describe(before)}`);
    else if (now.numFiles > before.numFiles + GROWTH.numFiles)
      faults.push(`${nameOf(program)}: ${describe(now)}, at first ${describe(before)}`);
  }
  return { name: "I12", rule: "memory and open files are back", checked: programs.length, faults };
}

/** I11 and I15: what the processes logged, and how they ended. */
export async function checkPrograms(
  programs: readonly Program[],
  toldToEnd: ReadonlySet<Program>,
): Promise<readonly Verdict[]> {
  const logFaults = programs.flatMap((program) =>
    program.logFaults.map((line) => `${nameOf(program)}: ${line}`),
  );
  const endings: string[] = [];
  for (const program of programs) {
    const ending = await Promise.race([program.ended, sleep(0, null)]);
    const isExpected =
      ending === null || (toldToEnd.has(program) && (ending === "SIGKILL" || ending === "0"));
    if (!isExpected) endings.push(`${nameOf(program)} ended with ${ending}`);
  }
  const checked = programs.length;
  return [
    {
      name: "I11",
      rule: "logs are JSON without keys, tokens or prompts; nothing uncaught",
      checked,
      faults: logFaults,
    },
    { name: "I15", rule: "no process ends by itself, and none with an error", checked, faults: endings },
  ];
}

export function describe({ rssMiB, numFiles }: Footprint): string {
  return `${Math.round(rssMiB)} MiB, ${numFiles} files`;
}

function nameOf({ name, child }: Program): string {
  return `${name} ${child.pid}`;
}
