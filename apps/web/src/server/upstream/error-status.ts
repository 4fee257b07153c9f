/** Reads the error of a controller's answer for the page. */
import { LlavaError, parseErrorBody } from "@llava/protocol";
import type { PageError } from "@llava/protocol";
import type { Dispatcher } from "undici";

import { readJson } from "./read-json.ts";

/** Most bytes of an error, which is a sentence; a longer body is not from our servers. */
const MAX_BYTES = 64 << 10;

/** Never throws. */
export async function errorStatusBody({
  statusCode,
  headers,
  body,
}: Dispatcher.ResponseData): Promise<PageError> {
  const error =
    parseErrorBody(await readJson(body, MAX_BYTES)) ??
    new LlavaError(
      "internal",
      `The controller answered with status ${statusCode} and no explanation. Try again.`,
    );
  const { code, message, retryable } = error;
  return { code, message, retryable, retryAfterMs: waitMs(headers) };
}

/** The wait in milliseconds: our own header is exact, HTTP's is in seconds; null for a date or no header. */
function waitMs(headers: Dispatcher.ResponseData["headers"]): number | null {
  const ms = headers["retry-after-ms"];
  const wait = ms === undefined ? Number(headers["retry-after"] ?? Number.NaN) * 1_000 : Number(ms);
  return Number.isFinite(wait) && wait >= 0 ? wait : null;
}
