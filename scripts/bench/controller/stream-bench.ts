/** Many workers that beat and many answers at once on one controller: what it holds, how late it is, what it loses. */
import { Agent } from "node:http";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { median, percentile, type Row } from "../results/bench-row.ts";
import { ask, chatBody, type Asked } from "./bench-ask.ts";
import { startController, startWorkers, type Beats } from "./bench-processes.ts";
import type { Measured } from "./delay-probe.ts";

export interface StreamsPlan {
  readonly workers: number;
  readonly streams: number;
  /** New streams a second. */
  readonly rate: number;
  readonly heartbeatS: number;
  /** Between two pieces of each stream. */
  readonly pieceMs: number;
  /** How long all streams run side by side. */
  readonly holdS: number;
  readonly controllerFlags: readonly string[];
  readonly profile: string | undefined;
}

const BATCH_MS = 50;
const SETTLE_MS = 2_000;
/** The share of the first bytes that came last, when nearly all streams were open. */
const LAST_SHARE = 0.1;
const MIB = 2 ** 20;

export async function benchStreams(plan: StreamsPlan): Promise<Row[]> {
  await using controller = await startController(plan.controllerFlags, plan.profile);
  await using workers = await startWorkers(controller.url, {
    count: plan.workers,
    heartbeatMs: plan.heartbeatS * 1000,
    pieceMs: plan.pieceMs,
  });
  await sleep(SETTLE_MS);
  const idle = await controller.measure();
  await workers.measure();
  const own = monitorEventLoopDelay({ resolution: 5 });
  own.enable();
  const firsts: number[] = [];
  const answers = await openAll(controller.url, plan, firsts);
  const opening = await controller.measure();
  const workersDelayMs = (await workers.measure()).delayP99Ms;
  await sleep(plan.holdS * 1000);
  const holding = await controller.measure();
  const open = await streamsOf(controller.url);
  workers.finish();
  const done = await Promise.allSettled(answers);
  const whole = done.filter((one) => one.status === "fulfilled" && one.value.isWhole).length;
  await sleep(SETTLE_MS);
  const left = await streamsOf(controller.url);
  const after = await controller.measure();
  const beats = await workers.beats();
  own.disable();
  const counts = { open, whole, left, ownDelayMs: Math.max(0, own.percentile(99) / 1e6 - 5), workersDelayMs };
  return streamRows(plan, { idle, opening, holding, after }, firsts, beats, counts);
}

async function openAll(url: string, plan: StreamsPlan, firsts: number[]): Promise<Promise<Asked>[]> {
  const agent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY });
  const body = chatBody(0);
  const answers: Promise<Asked>[] = [];
  const start = performance.now();
  while (answers.length < plan.streams) {
    const due = Math.min(plan.streams, Math.ceil(((performance.now() - start) / 1000) * plan.rate));
    while (answers.length < due) {
      const answer = ask(url, body, agent, (ms) => firsts.push(ms));
      // Failures are counted when all streams have ended; until then a rejection is not an unhandled one.
      answer.catch(() => undefined);
      answers.push(answer);
    }
    await sleep(BATCH_MS);
  }
  const deadlineMs = performance.now() + 30_000;
  while (firsts.length < plan.streams && performance.now() < deadlineMs) await sleep(BATCH_MS);
  return answers;
}

/** Those that the controller itself counts. */
async function streamsOf(url: string): Promise<number> {
  const health: unknown = await (await fetch(`${url}/health`)).json();
  return typeof health === "object" && health !== null && "streams" in health
    ? Number(health.streams)
    : Number.NaN;
}

interface Counts {
  readonly open: number;
  readonly whole: number;
  readonly left: number;
  /** Longest event-loop delay of the process that asks and takes the times. */
  readonly ownDelayMs: number;
  /** Longest event-loop delay of the process that runs all workers. */
  readonly workersDelayMs: number;
}

function streamRows(
  plan: StreamsPlan,
  phases: Readonly<Record<"idle" | "opening" | "holding" | "after", Measured>>,
  firsts: readonly number[],
  beats: Beats,
  { open, whole, left, ownDelayMs, workersDelayMs }: Counts,
): Row[] {
  const { idle, opening, holding, after } = phases;
  const lasts = firsts.slice(-Math.ceil(plan.streams * LAST_SHARE));
  const perStreamKiB = ((holding.rssMiB - idle.rssMiB) * MIB) / 1024 / plan.streams;
  const rows: [string, number, string, string][] = [
    ["workers", plan.workers, "", `registered, each on a port of its own, a beat every ${plan.heartbeatS} s`],
    ["RSS, workers only", idle.rssMiB, "MiB", "controller"],
    ["streams at once", open, "", `as the controller counts; a piece every ${plan.pieceMs} ms in each`],
    ["first byte p50", median(firsts), "ms", `while ${plan.rate} streams a second are opened`],
    ["first byte p99", percentile(firsts, 0.99), "ms", `of ${firsts.length}`],
    ["first byte p99, last", percentile(lasts, 0.99), "ms", `of the last ${lasts.length}`],
    ["asker's delay p99", ownDelayMs, "ms", "of the event loop that takes these times, which is in them"],
    ["workers' delay p99", workersDelayMs, "ms", "of the event loop that all workers share, in them too"],
    [
      "RSS, all streams",
      holding.rssMiB,
      "MiB",
      `peak ${Math.max(opening.peakRssMiB, holding.peakRssMiB).toFixed(0)}`,
    ],
    ["RSS, a stream", perStreamKiB, "KiB", "both connections"],
    ["RSS, after", after.rssMiB, "MiB", "two seconds after the last stream"],
    ["event loop p99, opening", opening.delayP99Ms, "ms", `longest ${opening.delayMaxMs.toFixed(0)}`],
    [
      "event loop p99, all",
      holding.delayP99Ms,
      "ms",
      `longest ${holding.delayMaxMs.toFixed(0)}; median ${holding.delayP50Ms.toFixed(1)}`,
    ],
    ["CPU, all", holding.cpuMs / plan.holdS / 10, "%", "of one core, all threads, all streams running"],
    ["heartbeats", beats.sent, "", "sent"],
    [
      "heartbeats lost",
      beats.failed + beats.forgotten,
      "",
      `${beats.failed} unanswered, ${beats.forgotten} of workers that were not known any more; should be 0`,
    ],
    ["streams not whole", plan.streams - whole, "", "should be 0"],
    ["streams left", left, "", "as the controller counts after the last; should be 0"],
  ];
  return rows.map(([name, value, unit, note]) => ({ part: "many streams", name, value, unit, note }));
}
