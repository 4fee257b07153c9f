/**
 * Loaded into a server's process before its own program (`--import`). When its parent asks, says what is in its memory, after
 * a collection, because what waits for the collector is no leak; or fails where nobody catches it, runs out of memory, or
 * takes the wrong time for the right one.
 */
import { setTimeout as sleep } from "node:timers/promises";

/** What the parent may send beside the words below: `clock` and by how many milliseconds it jumps. */
const CLOCK = "clock ";

process.on("message", (message) => {
  if (message === "fail") throw new Error("failed on purpose");
  if (message === "hoard") hoard();
  if (typeof message === "string" && message.startsWith(CLOCK))
    aheadMs += Number(message.slice(CLOCK.length));
  if (message === "memory") void collect().then(() => process.send?.({ memory: process.memoryUsage() }));
});

/** Twice: what the first one's finalizers let go of is collected by the second. */
async function collect(): Promise<void> {
  for (let i = 0; i < 2; i++) {
    await globalThis.gc?.({ type: "major", execution: "async" });
    await sleep(10);
  }
}

/** Until the heap's limit ends the process. */
function hoard(): never {
  const kept: number[][] = [];
  while (true) kept.push(Array.from({ length: 1 << 16 }, (_, index) => index + Math.random()));
}

/** The wall clock from here on is ahead by this; the monotonic one goes on as it does when somebody sets a machine's time. */
let aheadMs = 0;

// From the start, for programs keep `Date.now` as they find it.
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
