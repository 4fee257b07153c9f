/** Reads the bodies of requests as bytes, by one rule for all routes; those that are relayed are never parsed. */
import { parseJson } from "@llava/server";
import type { FastifyRequest } from "fastify";

/** The bytes of the largest body that is relayed. An image of 4 MiB becomes 5.4 MiB of base64; eight of three MiB fit. */
export const MAX_RELAYED_BODY_BYTES = 32 << 20;

export function bytesOfBody({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}

/** The body as JSON. Throws `invalid_request` when it is no JSON, or has more depth or keys than any that we take. */
export function jsonOfBody(request: FastifyRequest): unknown {
  return parseJson(bytesOfBody(request));
}
