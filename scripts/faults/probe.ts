/**
 * Loaded into a server's process before its own program (`--import`). When its parent asks, says what is in its memory, after
 * a collection, because what waits for the collector is no leak; or fails where nobody catches it.
 */
import { setTimeout as sleep } from "node:timers/promises";

process.on("message", (message) => {
  if (message === "fail") throw new Error("failed on purpose");
  if (message === "memory") void collect().then(() => process.send?.({ memory: process.memoryUsage() }));
});

/** Twice: what the first one's finalizers let go of is collected by the second. */
async function collect(): Promise<void> {
  for (let i = 0; i < 2; i++) {
    await globalThis.gc?.({ type: "major", execution: "async" });
    await sleep(10);
  }
}
