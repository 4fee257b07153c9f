/** Bodies as bytes: apart so that every route reads them by the same rule and the relayed ones are never parsed. */
import { parseJson } from "@llava/server";
import type { FastifyRequest } from "fastify";

/** An image of 4 MiB becomes 5.4 MiB of base64; eight of three MiB fit. */
export const MAX_RELAYED_BODY_BYTES = 32 << 20;

export function bytesOfBody({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}

/** The body as JSON; `invalid_request` when it is not, or is deeper or fuller than any of ours. */
export function jsonOfBody(request: FastifyRequest): unknown {
  return parseJson(bytesOfBody(request));
}
