/** By what a request is known again in a worker that has seen its image, or the beginning of its conversation. */
import { createHash } from "node:crypto";
import type { RequestKeys } from "../registry/dispatch.ts";
import { imageKeysOf } from "./image-fields.ts";

/** Some 250 tokens: to compute less again costs less than to wait for one certain worker. */
const PROMPT_BYTES = 1024;

/**
 * @param promptStart where the value of `messages` or `prompt` begins, whose first bytes are the same in every turn of a
 * conversation; null without one
 */
export async function requestKeys(
  body: Buffer,
  promptStart: number | null,
  signal: AbortSignal,
): Promise<RequestKeys> {
  return {
    imageKeys: await imageKeysOf(body, signal),
    promptKey: promptKeyOf(body, promptStart),
  };
}

function promptKeyOf(body: Buffer, start: number | null): string | null {
  if (start === null || start + PROMPT_BYTES > body.length) return null;
  return createHash("sha256")
    .update(body.subarray(start, start + PROMPT_BYTES))
    .digest("base64url");
}
