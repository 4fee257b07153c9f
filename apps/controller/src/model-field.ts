/**
 * Finds in a request's bytes the few fields that routing needs. Apart because parsing a body of many megabytes of picture
 * only to pass it on would hold up every other stream; this jumps from quote to quote.
 */
import { LlavaError, RESUME_FIELD } from "@llava/protocol";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const MAX_NAME_BYTES = 1024;
const NAMES: ReadonlySet<string> = new Set(["model", "stream", "messages", "prompt", RESUME_FIELD]);

/** What the relay must know of a body that it passes on. */
export interface RelayFields {
  readonly model: string;
  /** Whether the body asks for a stream; no more than a hint, the worker decides. */
  readonly isStream: boolean;
  /** Where the value of `messages` or `prompt` begins; null without one. */
  readonly promptStart: number | null;
}

/**
 * The outermost object's `model` (the last one, as `JSON.parse` would take) and `stream`. Nothing else is checked: the
 * worker reads the body whole. `invalid_request` when there is no such text, or when a client uses the field by which
 * controllers ask workers to continue an answer.
 */
export function readRelayFields(body: Buffer): RelayFields {
  const start = skipSpace(body, 0);
  if (body[start] !== OPEN_OBJECT) throw new LlavaError("invalid_request", "The body must be a JSON object.");
  const places = findLastValues(body, start);
  if (places.has(RESUME_FIELD))
    throw new LlavaError(
      "invalid_request",
      `The field ${RESUME_FIELD} is for controllers and their workers; leave it out.`,
      { param: RESUME_FIELD },
    );
  const at = places.get("model");
  if (at === undefined)
    throw new LlavaError("invalid_request", "The field model is missing; it must be a model's name.", {
      param: "model",
    });
  const model = body[at] === QUOTE ? readText(body, at, endOfText(body, at)) : null;
  if (model === null)
    throw new LlavaError("invalid_request", "The field model must be a model's name.", {
      param: "model",
    });
  const stream = places.get("stream");
  const isStream = stream !== undefined && body.toString("latin1", stream, stream + 4) === "true";
  return { model, isStream, promptStart: places.get("messages") ?? places.get("prompt") ?? null };
}

/** Where the value of the outermost object's last key of each name begins that matters here. */
function findLastValues(body: Buffer, start: number): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  let depth = 0;
  for (let at = start; at < body.length; at += 1) {
    const byte = body[at] ?? 0;
    if (byte === QUOTE) {
      const end = endOfText(body, at);
      const colon = depth === 1 ? skipSpace(body, end + 1) : end;
      const key = body[colon] === COLON ? readText(body, at, end) : null;
      if (key !== null && NAMES.has(key)) found.set(key, skipSpace(body, colon + 1));
      at = end;
    } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth += 1;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) depth -= 1;
  }
  return found;
}

/** The index of the quote that ends the text that begins at `start`. */
function endOfText(body: Buffer, start: number): number {
  for (let end = body.indexOf(QUOTE, start + 1); end >= 0; end = body.indexOf(QUOTE, end + 1)) {
    let backslashes = 0;
    while (body[end - 1 - backslashes] === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return end;
  }
  throw new LlavaError("invalid_request", "The body is not JSON: it ends inside a text.");
}

/** The text between two quotes, escapes resolved; null when it is longer than any name or not JSON. */
function readText(body: Buffer, start: number, end: number): string | null {
  if (end - start > MAX_NAME_BYTES) return null;
  try {
    const text: unknown = JSON.parse(body.toString("utf8", start, end + 1));
    return typeof text === "string" ? text : null;
  } catch {
    return null;
  }
}

function skipSpace(body: Buffer, start: number): number {
  let at = start;
  while (body[at] === 0x20 || body[at] === 0x0a || body[at] === 0x0d || body[at] === 0x09) at += 1;
  return at;
}
