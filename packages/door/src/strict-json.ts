/** JSON as a server may take it from strangers: no depth or number of keys that costs more than it says, nothing said twice. */
import { LlavaError } from "@llava/protocol";

const MAX_DEPTH = 32;
const MAX_KEYS = 10_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

/** What is open where the scan is: an object with the keys it has had, or a list. */
interface Level {
  readonly keys: Set<string> | null;
  lastKey: string;
}

/** The value; `invalid_request` when it is no JSON or not such as is taken here. */
export function parseJson(bytes: Buffer): unknown {
  checkShape(bytes);
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new LlavaError("invalid_request", "The body is not JSON.", { cause });
  }
}

/**
 * One pass over the bytes before anything is built from them. Strings are jumped over, so a picture of megabytes costs
 * next to nothing. Says nothing about whether it is JSON at all.
 */
function checkShape(bytes: Buffer): void {
  const levels: Level[] = [];
  let numKeys = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      if (levels.length === MAX_DEPTH) throw refused(`is nested deeper than ${MAX_DEPTH}`);
      levels.push({ keys: byte === OPEN_OBJECT ? new Set() : null, lastKey: "" });
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      levels.pop();
    } else if (byte === QUOTE) {
      const end = endOfString(bytes, at);
      const level = levels.at(-1);
      if (level?.keys && isFollowedByColon(bytes, end)) {
        if (++numKeys > MAX_KEYS) throw refused(`has more than ${MAX_KEYS} keys`);
        addKey(levels, level, level.keys, keyOf(bytes, at, end));
      }
      at = end - 1;
    }
  }
}

function addKey(levels: readonly Level[], level: Level, keys: Set<string>, key: string): void {
  if (keys.has(key)) throw refused(`has the key ${shown(key)} twice in one object`);
  const outer = levels.at(-2)?.lastKey;
  if (key === "__proto__" || (key === "prototype" && outer === "constructor")) {
    throw refused(`has the key ${shown(key)}, which is not taken`);
  }
  keys.add(key);
  level.lastKey = key;
}

/** Where the string that begins at `start` is over; the end of the bytes when it never is. */
function endOfString(bytes: Buffer, start: number): number {
  let quote = bytes.indexOf(QUOTE, start + 1);
  while (quote !== -1 && isEscaped(bytes, start, quote)) quote = bytes.indexOf(QUOTE, quote + 1);
  return quote === -1 ? bytes.length : quote + 1;
}

/** Whether the quote at `quote` follows an odd number of backslashes. */
function isEscaped(bytes: Buffer, start: number, quote: number): boolean {
  let first = quote;
  while (first - 1 > start && bytes[first - 1] === BACKSLASH) first--;
  return (quote - first) % 2 === 1;
}

function isFollowedByColon(bytes: Buffer, from: number): boolean {
  let at = from;
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at++;
  return bytes[at] === COLON;
}

/** As JSON reads it, so that an escape cannot make one key look like two. */
function keyOf(bytes: Buffer, start: number, end: number): string {
  try {
    return String(JSON.parse(bytes.toString("utf8", start, end)));
  } catch {
    throw new LlavaError("invalid_request", "The body is not JSON.");
  }
}

function shown(key: string): string {
  return JSON.stringify(key.slice(0, 60));
}

function refused(what: string): LlavaError {
  return new LlavaError("invalid_request", `The body ${what}. Send plain JSON.`);
}
