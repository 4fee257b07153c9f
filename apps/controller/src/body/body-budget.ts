/**
 * How many bytes of bodies the controller holds at once: each is kept until its answer has ended, because another worker
 * may have to be asked. Beyond the limit requests are refused before their bodies are read.
 */
import { LlavaError } from "@llava/protocol";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { bytesOfBody } from "./request-body.ts";

/** Counts what bodies are announced to need, from the head of a request to the end of its answer. */
export function limitBodies(app: FastifyInstance, maxBytes: number): void {
  let heldBytes = 0;
  const held = new WeakMap<FastifyRequest, number>();
  const hold = (request: FastifyRequest, bytes: number): void => {
    heldBytes += bytes - (held.get(request) ?? 0);
    held.set(request, bytes);
  };
  app.addHook("onRequest", async (request, reply) => {
    const bytes = announcedBytes(request);
    if (bytes === 0) return;
    if (heldBytes + bytes > maxBytes) {
      throw full(bytes);
    }
    hold(request, bytes);
    // The response's close, which comes for every answer, whole or not.
    reply.raw.once("close", () => hold(request, 0));
  });
  app.addHook("preHandler", async (request) => {
    if (held.has(request)) hold(request, bytesOfBody(request).length);
  });
}

/** A body without a length may become as large as its route takes. */
function announcedBytes({ headers, routeOptions }: FastifyRequest): number {
  const limit = routeOptions.bodyLimit ?? 0;
  if (headers["transfer-encoding"] !== undefined) return limit;
  // Longer ones are refused for their length.
  return Math.min(limit, Number(headers["content-length"] ?? 0));
}

function full(bytes: number): LlavaError {
  return new LlavaError(
    "overloaded",
    `The controller has no room for a body of ${Math.ceil(bytes / 1024)} KiB beside those that it holds; ask again in a moment.`,
  );
}
