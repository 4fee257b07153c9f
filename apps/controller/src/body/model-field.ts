/**
 * Finds in a request's bytes the few fields that routing needs. To parse a body with many megabytes of images only to pass
 * it on would hold up every other stream.
 */
import { JsonScanner, LlavaError, RESUME_FIELD } from "@llava/protocol";

const QUOTE = 0x22;
const OPEN_OBJECT = 0x7b;
/** The longest model name that is read, in bytes with its escapes. */
const MAX_NAME_BYTES = 1024;
/** The longest key that is looked for, with each of its letters written as an escape. */
const MAX_KEY_BYTES = 80;
/**
 * The work that one body may cost, in units of the scanner: some 20 ms, in which every other stream stands still. An image
 * is one search. Bodies that the API can use have 10,000 keys at most and half as many bytes outside of strings as this,
 * or one text with 131,072 quotes in it.
 */
const MAX_WORK = 1 << 22;
const NAMES: ReadonlySet<string> = new Set(["model", "stream", "messages", "prompt", RESUME_FIELD]);

/** What the relay must know of a body that it passes on. */
export interface RelayFields {
  readonly model: string;
  /** Whether the body asks for a stream. It is a hint only: the worker decides. */
  readonly isStream: boolean;
  /** The index in the body where the value of `messages` or `prompt` begins; null without one. */
  readonly promptStart: number | null;
}

/**
 * The outermost object's `model` (the last one, as `JSON.parse` would take) and `stream`. Nothing else is checked, as the
 * worker reads the whole body. Throws `invalid_request` when there is no such text, or when a client uses the field by
 * which controllers ask workers to continue an answer.
 */
export function readRelayFields(body: Buffer): RelayFields {
  const scanner = new JsonScanner(body, 0, MAX_WORK);
  if (body[scanner.skipSpace()] !== OPEN_OBJECT || scanner.workLeft < 0)
    throw scanner.workLeft < 0
      ? overspent()
      : new LlavaError("invalid_request", "The body must be a JSON object.");
  const places = findLastValues(scanner);
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
  const model = readName(body, at, scanner.workLeft);
  if (model === null)
    throw new LlavaError("invalid_request", "The field model must be a model's name.", { param: "model" });
  const stream = places.get("stream");
  const isStream = stream !== undefined && body.toString("latin1", stream, stream + 4) === "true";
  return { model, isStream, promptStart: places.get("messages") ?? places.get("prompt") ?? null };
}

/** For each of `NAMES` the index where the value of the outermost object's last key of that name begins. */
function findLastValues(scanner: JsonScanner): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  while (true) {
    const token = scanner.next();
    if (token === "end") return found;
    if (token === "unfinished")
      throw new LlavaError("invalid_request", "The body is not JSON: it ends inside a text.");
    if (token === "overspent") throw overspent();
    const isOutermost = token === "key" && scanner.depth === 1;
    if (!isOutermost || scanner.end - scanner.start >= MAX_KEY_BYTES) continue;
    const key = scanner.text();
    if (key !== null && NAMES.has(key)) found.set(key, scanner.skipSpace());
    if (scanner.workLeft < 0) throw overspent();
  }
}

/** The string that begins at `at`; null when there is none, or one that is longer than any name. */
function readName(body: Buffer, at: number, maxWork: number): string | null {
  if (body[at] !== QUOTE) return null;
  const scanner = new JsonScanner(body, at, maxWork);
  const token = scanner.next();
  if (token === "overspent") throw overspent();
  return scanner.end - scanner.start < MAX_NAME_BYTES ? scanner.text() : null;
}

function overspent(): LlavaError {
  return new LlavaError(
    "invalid_request",
    "The body has too many keys, numbers, quotes or spaces for a request. Send what the API knows and no more.",
  );
}
