/**
 * How a server ends over an exception that nobody caught: its state is not to be trusted with anything new, and those who
 * wait for an answer are not to blame. Apart because all servers end alike.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyBaseLogger } from "fastify";

/** For answers under way; after a second exception nothing is waited for. */
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
  // A moment more than the answers, for their last events.
  const patience = sleep(LAST_ANSWERS_MS + 2_000);
  await Promise.race([end().catch(() => undefined), patience]);
  return process.exit(EXIT_CODE);
}
