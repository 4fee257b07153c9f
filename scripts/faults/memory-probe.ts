/**
 * Loaded into a server's process before its own program (`--import`): says what is in its memory when its parent asks, after
 * a collection, because what waits for the collector is no leak.
 */
import { setTimeout as sleep } from "node:timers/promises";

process.on("message", (message) => {
  if (message === "memory") void collect().then(() => process.send?.({ memory: process.memoryUsage() }));
});

/** Twice: what the first one's finalizers let go of is collected by the second. */
async function collect(): Promise<void> {
  for (let i = 0; i < 2; i++) {
    await globalThis.gc?.({ type: "major", execution: "async" });
    await sleep(10);
  }
}
