/** What a controller's answer other than 200 says, for the page. */
import { LlavaError, parseErrorBody } from "@llava/protocol";
import type { PageError } from "@llava/protocol";
import type { Dispatcher } from "undici";

/** Errors are a sentence; what is longer is none of ours. */
const MAX_LENGTH = 64 << 10;

/** Never throws. */
export async function errorStatusBody({
  statusCode,
  headers,
  body,
}: Dispatcher.ResponseData): Promise<PageError> {
  const error =
    parseErrorBody(await jsonBody(body)) ??
    new LlavaError(
      "internal",
      `The controller answered with status ${statusCode} and no explanation. Try again.`,
    );
  const { code, message, retryable } = error;
  const waitMs = Number(headers["retry-after-ms"]);
  return { code, message, retryable, retryAfterMs: Number.isFinite(waitMs) ? waitMs : null };
}

async function jsonBody(body: AsyncIterable<Uint8Array>): Promise<unknown> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of body) {
      length += part.length;
      if (length > MAX_LENGTH) return null;
      parts.push(part);
    }
    return JSON.parse(Buffer.concat(parts).toString("utf8"));
  } catch {
    return null;
  }
}
