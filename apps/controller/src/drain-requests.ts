/**
 * Stops the controller in two phases: first it takes nothing new while answers under way may end, then the others end with
 * an error and everything closes.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { LlavaError } from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import type { OpenStreams } from "./relay/open-streams.ts";

/** How long the last events of answers that the shutdown ended may take. */
const LAST_EVENTS_TIMEOUT_MS = 1_000;

/**
 * @returns a function that stops taking new work, lets answers end within `graceMs` and then ends the others; it resolves
 * when everything is closed
 */
export function prepareShutdown(
  app: FastifyInstance,
  streams: OpenStreams,
): (graceMs: number) => Promise<void> {
  let isStopping = false;
  app.addHook("onRequest", async (request, reply) => {
    if (!isStopping) return;
    reply.header("connection", "close");
    // Workers report and operators may look as long as answers run.
    const { role } = request.routeOptions.config;
    if (role !== "cluster" && role !== "admin") throw stopping();
  });
  return async (graceMs) => {
    isStopping = true;
    await within(graceMs, streams.allEnded());
    streams.abortAll(stopping());
    await within(LAST_EVENTS_TIMEOUT_MS, streams.allEnded());
    const closed = app.close();
    app.server.closeAllConnections();
    await closed;
  };
}

function stopping(): LlavaError {
  return new LlavaError("shutting_down", "The controller is stopping; ask again in a moment.");
}

/** Waits for `ended`, but no longer than `ms`. */
async function within(ms: number, ended: Promise<void>): Promise<void> {
  const waiting = new AbortController();
  const deadline = sleep(ms, undefined, { signal: waiting.signal }).catch(() => undefined);
  await Promise.race([ended, deadline]);
  waiting.abort();
}
