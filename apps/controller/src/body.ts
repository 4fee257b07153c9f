/** Bodies as bytes: apart so that every route reads them by the same rule and the relayed ones are never parsed. */
import { LlavaError } from "@llava/protocol";
import type { FastifyInstance, FastifyRequest } from "fastify";

/** A picture of 4 MiB becomes 5.4 MiB of base64; eight of three MiB fit. */
export const MAX_RELAYED_BODY_BYTES = 32 << 20;
export const MAX_CONTROL_BODY_BYTES = 64 << 10;

/** Takes JSON only, uncompressed, and leaves it as bytes. */
export function readBodiesAsBytes(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.addHook("onRequest", async ({ headers }) => {
    const type = headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
    if (type !== "" && type !== "application/json") {
      throw unsupported(
        `The body is ${JSON.stringify(type.slice(0, 80))}; send JSON with content-type: application/json.`,
      );
    }
    const encoding = headers["content-encoding"] ?? "identity";
    if (encoding !== "identity") {
      throw unsupported(`The body is compressed (${JSON.stringify(encoding.slice(0, 40))}); send it plain.`);
    }
  });
}

export function bytesOfBody({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}

/** The body as JSON; `invalid_request` when it is not. */
export function jsonOfBody(request: FastifyRequest): unknown {
  try {
    return JSON.parse(bytesOfBody(request).toString("utf8"));
  } catch (cause) {
    throw new LlavaError("invalid_request", "The body is not JSON.", { cause });
  }
}

function unsupported(sentence: string): LlavaError {
  return new LlavaError("unsupported_media_type", sentence);
}
