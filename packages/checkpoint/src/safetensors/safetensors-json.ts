/**
 * Safetensors JSON is parsed with a check for equal names, because `JSON.parse` silently keeps the last of them: two
 * readers of one file could then see different weights.
 */
import { strictJsonFault } from "@llava/protocol";
import { damaged } from "../tensors/damaged.ts";

/** Both a header and an index of shards have three levels of names; one more is harmless. */
const MAX_DEPTH = 4;

/**
 * `subject` begins the sentence of the `invalid_checkpoint` that is thrown for what is no JSON, nests too deep, or gives one
 * object the same name twice.
 */
export function parseFileJson(path: string, subject: string, text: string): unknown {
  const fault = strictJsonFault(Buffer.from(text), { maxDepth: MAX_DEPTH });
  if (fault !== null) throw damaged(path, `${subject} ${fault}`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? cause.message : "it cannot be parsed";
    throw damaged(path, `${subject} is not the JSON it should be: ${reason}`, cause);
  }
}

/** True for `{…}`. Its own names are as the text has them, `__proto__` included, which copies of it would lose. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
