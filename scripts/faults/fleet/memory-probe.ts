/**
 * Gives the parent of a server's process control over it; it is loaded before the server's own program (`--import`). On
 * request it reports the memory in use after a collection (what waits for the collector is no leak), throws an exception that
 * is not caught, runs out of memory, or changes the wall clock.
 */
import { setTimeout as sleep } from "node:timers/promises";

/** The beginning of the message that changes the clock, before the milliseconds by which it jumps. */
const CLOCK = "clock ";

process.on("message", (message) => {
  if (message === "fail") throw new Error("failed on purpose");
  if (message === "hoard") hoard();
  if (typeof message === "string" && message.startsWith(CLOCK))
    aheadMs += Number(message.slice(CLOCK.length));
  if (message === "memory") void collect().then(() => process.send?.({ memory: process.memoryUsage() }));
});

/** Collects twice, as the second collection takes what the finalizers of the first one have released. */
async function collect(): Promise<void> {
  for (let i = 0; i < 2; i++) {
    await globalThis.gc?.({ type: "major", execution: "async" });
    await sleep(10);
  }
}

/** Allocates until the heap's limit ends the process. */
function hoard(): never {
  const kept: number[][] = [];
  while (true) kept.push(Array.from({ length: 1 << 16 }, (_, index) => index + Math.random()));
}

/** The milliseconds by which the wall clock is ahead; the monotonic clock goes on, as when a machine's time is set. */
let aheadMs = 0;

// Replaced at the start, as programs keep a reference to `Date.now`.
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...parts: unknown[]) {
    if (parts.length === 0) super(RealDate.now() + aheadMs);
    else super(...(parts as [number]));
  }
  static override now(): number {
    return RealDate.now() + aheadMs;
  }
} as DateConstructor;
