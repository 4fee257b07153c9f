/** What a controller's answer other than 200 says, for the page. */
import { LlavaError, parseErrorBody } from "@llava/protocol";
import type { PageError } from "@llava/protocol";
import type { Dispatcher } from "undici";

import { readJson } from "./read-json.ts";

/** Errors are a sentence; what is longer is none of ours. */
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

/** Ours is exact; HTTP's own is in seconds. A date is passed over. */
function waitMs(headers: Dispatcher.ResponseData["headers"]): number | null {
  const ms = headers["retry-after-ms"];
  const wait = ms === undefined ? Number(headers["retry-after"] ?? Number.NaN) * 1_000 : Number(ms);
  return Number.isFinite(wait) && wait >= 0 ? wait : null;
}
