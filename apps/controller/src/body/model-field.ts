/**
 * Finds in a request's bytes the few fields that routing needs. Apart because parsing a body of many megabytes of image
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
const SPACES: ReadonlySet<number> = new Set([0x20, 0x0a, 0x0d, 0x09]);
const MAX_NAME_BYTES = 1024;
/** The longest key that matters, with each of its letters written as an escape. */
const MAX_KEY_BYTES = 80;
/**
 * What one body may cost, in bytes that are looked at one by one: some 20 ms, in which every other stream stands still. A
 * image is one search. Bodies that we have a use for have 10,000 keys at most and half as many bytes outside of texts as
 * this, or one text with 131,072 quotes in it.
 */
const MAX_WORK = 1 << 22;
/** For the next quote, and for a key that is read, as some 100 ns and 1 µs. */
const SEARCH_WORK = 16;
const KEY_WORK = 256;
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
  const work: Work = { left: MAX_WORK };
  const start = skipSpace(body, 0, work);
  if (body[start] !== OPEN_OBJECT) throw new LlavaError("invalid_request", "The body must be a JSON object.");
  const places = findLastValues(body, start, work);
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
  const model = body[at] === QUOTE ? readText(body, at, endOfText(body, at, work)) : null;
  if (model === null)
    throw new LlavaError("invalid_request", "The field model must be a model's name.", {
      param: "model",
    });
  const stream = places.get("stream");
  const isStream = stream !== undefined && body.toString("latin1", stream, stream + 4) === "true";
  return { model, isStream, promptStart: places.get("messages") ?? places.get("prompt") ?? null };
}

/** Where the value of the outermost object's last key of each name begins that matters here. */
function findLastValues(body: Buffer, start: number, work: Work): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  let depth = 0;
  for (let at = start; at < body.length; at += 1) {
    spend(work, 1);
    const byte = body[at] ?? 0;
    if (byte === QUOTE) {
      const end = endOfText(body, at, work);
      const colon = depth === 1 ? skipSpace(body, end + 1, work) : end;
      if (body[colon] === COLON && end - at <= MAX_KEY_BYTES) {
        spend(work, KEY_WORK);
        const key = readText(body, at, end);
        if (key !== null && NAMES.has(key)) found.set(key, skipSpace(body, colon + 1, work));
      }
      at = end;
    } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth += 1;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) depth -= 1;
  }
  return found;
}

interface Work {
  left: number;
}

function spend(work: Work, amount: number): void {
  work.left -= amount;
  if (work.left >= 0) return;
  throw new LlavaError(
    "invalid_request",
    "The body has too many keys, numbers, quotes or spaces for a request. Send what the API knows and no more.",
  );
}

/** The index of the quote that ends the text that begins at `start`. */
function endOfText(body: Buffer, start: number, work: Work): number {
  for (let end = body.indexOf(QUOTE, start + 1); end >= 0; end = body.indexOf(QUOTE, end + 1)) {
    spend(work, SEARCH_WORK);
    let backslashes = 0;
    while (backslashes <= work.left && body[end - 1 - backslashes] === BACKSLASH) backslashes += 1;
    spend(work, backslashes);
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

function skipSpace(body: Buffer, start: number, work: Work): number {
  let at = start;
  while (at - start <= work.left && SPACES.has(body[at] ?? 0)) at += 1;
  spend(work, at - start);
  return at;
}
