/** Keeps other programs out of the figures: waits until they rest, and says how much they did meanwhile. */
import { readFile } from "node:fs/promises";
import type { Figures, Order } from "./peers/peer.ts";
import type { PeerProcess } from "./peers/peer-process.ts";

/** Share of the whole machine that others may take during a measurement. */
export const MOST_FOREIGN = 0.05;
const GLANCE_MS = 250;
/** Linux counts in hundredths of a second. */
const TICK_MS = 10;

export interface Measured {
  readonly figures: Figures;
  /** What others took of the machine meanwhile, 0 to 1; NaN where the system does not tell (all but Linux). */
  readonly foreign: number;
}

/** Waits for others to rest, at most `quietTimeoutS` seconds, and asks. */
export async function askQuietly(peer: PeerProcess, order: Order, quietTimeoutS: number): Promise<Measured> {
  await waitForQuiet(quietTimeoutS);
  const before = await cpuTimes();
  const ownBefore = await peer.cpuMs();
  const figures = await peer.ask(order);
  const own = ((await peer.cpuMs()) ?? 0) - (ownBefore ?? 0);
  return { figures, foreign: foreignShare(before, await cpuTimes(), own) };
}

async function waitForQuiet(quietTimeoutS: number): Promise<void> {
  const until = performance.now() + 1000 * quietTimeoutS;
  while (performance.now() < until) {
    const before = await cpuTimes();
    await new Promise((resolve) => setTimeout(resolve, GLANCE_MS));
    // Twice as much: two ticks of a glance are four percent.
    if (!(foreignShare(before, await cpuTimes(), 0) > 2 * MOST_FOREIGN)) return;
  }
}

interface CpuTimes {
  /** Busy time of all cores together, including what the host took away. */
  readonly busyMs: number;
  readonly totalMs: number;
}

function foreignShare(before: CpuTimes | undefined, after: CpuTimes | undefined, ownMs: number): number {
  if (!before || !after) return Number.NaN;
  const busy = after.busyMs - before.busyMs - ownMs;
  return Math.max(0, busy) / Math.max(1, after.totalMs - before.totalMs);
}

async function cpuTimes(): Promise<CpuTimes | undefined> {
  const stat = await readFile("/proc/stat", "utf8").catch(() => "");
  const line = /^cpu +(.*)$/m.exec(stat)?.[1];
  if (line === undefined) return undefined;
  // user, nice, system, idle, waiting for a disk, interrupts, soft interrupts, stolen; guests are counted in user.
  const times = line.split(" ").slice(0, 8).map(Number);
  const total = times.reduce((sum, time) => sum + time, 0);
  const resting = (times[3] ?? 0) + (times[4] ?? 0);
  return { busyMs: (total - resting) * TICK_MS, totalMs: total * TICK_MS };
}
