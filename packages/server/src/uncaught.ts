/**
 * Ends a server after an uncaught exception: its state must not serve new requests, but answers that are under way get
 * time to end.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyBaseLogger } from "fastify";

/** Time for answers under way; a second exception ends the process at once. */
export const LAST_ANSWERS_MS = 5_000;
/** `EX_SOFTWARE` of sysexits.h: an internal error. */
const EXIT_CODE = 70;

/** @param end takes nothing new and resolves when what ran has ended; it may take `LAST_ANSWERS_MS` */
export function endOnUncaught(log: FastifyBaseLogger, end: () => Promise<void>): void {
  let isEnding = false;
  process.on("uncaughtException", (thrown) => {
    log.fatal({ err: thrown }, "nobody caught this exception; the process ends");
    if (isEnding) process.exit(EXIT_CODE);
    isEnding = true;
    void endSoon(end);
  });
}

async function endSoon(end: () => Promise<void>): Promise<never> {
  // A little more than the answers get, for their last events.
  const deadline = sleep(LAST_ANSWERS_MS + 2_000);
  await Promise.race([end().catch(() => undefined), deadline]);
  return process.exit(EXIT_CODE);
}
