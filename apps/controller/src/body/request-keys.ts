/** Makes the keys by which a worker is found that has seen a request's images, or the beginning of its conversation. */
import { createHash } from "node:crypto";
import type { RequestKeys } from "../registry/dispatch.ts";
import { imageKeysOf } from "./image-fields.ts";

/**
 * The bytes of a prompt's beginning that make its key, some 250 tokens. To compute fewer tokens again costs less than to
 * wait for one certain worker.
 */
const PROMPT_BYTES = 1024;

/**
 * @param promptStart the index where the value of `messages` or `prompt` begins, whose first bytes are the same in every
 * turn of a conversation; null without one
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
