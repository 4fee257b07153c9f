/**
 * Limits how many bytes of bodies the controller holds at once: each is kept until its answer has ended, because another
 * worker may have to be asked. Beyond the limit requests are refused before their bodies are read.
 */
import { LlavaError } from "@llava/protocol";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { bytesOfBody } from "./request-body.ts";

/** Counts the bytes that requests announce, from the head of each to the end of its answer. */
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
    // The response closes after every answer, whole or not.
    reply.raw.once("close", () => hold(request, 0));
  });
  app.addHook("preHandler", async (request) => {
    if (held.has(request)) hold(request, bytesOfBody(request).length);
  });
}

/** The bytes of a request's body by its headers; one without a length may become as large as its route takes. */
function announcedBytes({ headers, routeOptions }: FastifyRequest): number {
  const limit = routeOptions.bodyLimit ?? 0;
  if (headers["transfer-encoding"] !== undefined) return limit;
  // A longer body is refused for its length.
  return Math.min(limit, Number(headers["content-length"] ?? 0));
}

function full(bytes: number): LlavaError {
  return new LlavaError(
    "overloaded",
    `The controller has no room for a body of ${Math.ceil(bytes / 1024)} KiB beside those that it holds; ask again in a moment.`,
  );
}
