/**
 * How the controller stops, in two phases: first nothing new is taken while answers under way may end, then the rest are
 * told and everything closes. Apart because what is refused and what still passes is a list of its own.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { LlavaError } from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import type { Streams } from "./relay/open-streams.ts";

/** For the last events of answers that the shutdown ended. */
const LAST_WORDS_MS = 1_000;

/** @returns stops taking new work, lets answers end within `graceMs`, then tells the others; resolves when all is closed */
export function prepareShutdown(app: FastifyInstance, streams: Streams): (graceMs: number) => Promise<void> {
  let isStopping = false;
  app.addHook("onRequest", async (request, reply) => {
    if (!isStopping) return;
    reply.header("connection", "close");
    // Workers go on to report, and whoever watches may look, as long as answers run.
    const { role } = request.routeOptions.config;
    if (role !== "cluster" && role !== "admin") throw stopping();
  });
  return async (graceMs) => {
    isStopping = true;
    await within(graceMs, streams.allEnded());
    streams.abortAll(stopping());
    await within(LAST_WORDS_MS, streams.allEnded());
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
  const patience = new AbortController();
  const deadline = sleep(ms, undefined, { signal: patience.signal }).catch(() => undefined);
  await Promise.race([ended, deadline]);
  patience.abort();
}
