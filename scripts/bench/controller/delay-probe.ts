/** Loaded into the controller before its own code: says over IPC what the process holds and how late its event loop is. */
import { monitorEventLoopDelay } from "node:perf_hooks";

/** One measurement, of the time since the last one. */
export interface Measured {
  readonly rssMiB: number;
  readonly peakRssMiB: number;
  readonly delayP50Ms: number;
  readonly delayP99Ms: number;
  readonly delayMaxMs: number;
  /** Processor time of all threads. */
  readonly cpuMs: number;
}

export const MEASURE = "measure";
const RESOLUTION_MS = 5;
const RSS_INTERVAL_MS = 250;
const MIB = 2 ** 20;

if (process.send) answerParent();

function answerParent(): void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  let peak = 0;
  let cpu = process.cpuUsage();
  setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, RSS_INTERVAL_MS).unref();
  process.on("message", (message) => {
    if (message !== MEASURE) return;
    const used = process.cpuUsage(cpu);
    const rss = process.memoryUsage.rss();
    const late = (ns: number): number => Math.max(0, ns / 1e6 - RESOLUTION_MS);
    const measured: Measured = {
      rssMiB: rss / MIB,
      peakRssMiB: Math.max(peak, rss) / MIB,
      delayP50Ms: late(delay.percentile(50)),
      delayP99Ms: late(delay.percentile(99)),
      delayMaxMs: late(delay.max),
      cpuMs: (used.user + used.system) / 1000,
    };
    process.send?.({ type: "measured", measured });
    peak = 0;
    cpu = process.cpuUsage();
    delay.reset();
  });
}
