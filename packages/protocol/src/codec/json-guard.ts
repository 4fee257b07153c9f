/**
 * What JSON.parse takes and nobody means: the same name twice in one object, of which it keeps the last and says nothing,
 * so that two readers of one text see two things; and depths and numbers of names that cost more than they say.
 */

export interface JsonLimits {
  readonly maxDepth: number;
  readonly maxKeys?: number;
  /** Whether names are refused by which a careless copy of the value would change what all objects have. */
  readonly refusesPrototypes?: boolean;
}

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

/**
 * What is wrong, to be said of the text: "is nested deeper than 4". Null is not yet a promise that it is JSON at all.
 * One pass before anything is built; strings are jumped over, so an image of megabytes costs next to nothing.
 */
export function strictJsonFault(text: string, limits: JsonLimits): string | null {
  const { maxDepth, maxKeys = Infinity } = limits;
  const levels: Level[] = [];
  let numKeys = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === OPEN_OBJECT || code === OPEN_LIST) {
      if (levels.length === maxDepth) return `is nested deeper than ${maxDepth}`;
      levels.push({ keys: code === OPEN_OBJECT ? new Set() : null, lastKey: "" });
    } else if (code === CLOSE_OBJECT || code === CLOSE_LIST) {
      levels.pop();
    } else if (code === QUOTE) {
      const end = endOfString(text, at);
      const level = levels.at(-1);
      if (level?.keys && isFollowedByColon(text, end)) {
        if (++numKeys > maxKeys) return `has more than ${maxKeys} keys`;
        const key = keyOf(text.slice(at, end));
        // What is no string in JSON is for JSON.parse to refuse, which will.
        if (key === null) return null;
        const fault = keyFault(key, level.keys, levels.at(-2)?.lastKey, limits);
        if (fault !== null) return fault;
        level.keys.add(key);
        level.lastKey = key;
      }
      at = end - 1;
    }
  }
  return null;
}

function keyFault(
  key: string,
  earlier: ReadonlySet<string>,
  outer: string | undefined,
  { refusesPrototypes = false }: JsonLimits,
): string | null {
  const shown = JSON.stringify(key.slice(0, 60));
  if (earlier.has(key)) return `has the key ${shown} twice in one object`;
  const isPrototype = key === "__proto__" || (key === "prototype" && outer === "constructor");
  return refusesPrototypes && isPrototype ? `has the key ${shown}, which is not taken` : null;
}

/** Behind the string that begins at `start`; the end of the text when it never ends. */
function endOfString(text: string, start: number): number {
  let quote = text.indexOf('"', start + 1);
  while (quote !== -1 && isEscaped(text, quote)) quote = text.indexOf('"', quote + 1);
  return quote === -1 ? text.length : quote + 1;
}

/** Whether an odd number of backslashes stands before the quote. Those before the string end at its own quote. */
function isEscaped(text: string, quote: number): boolean {
  let first = quote;
  while (text.charCodeAt(first - 1) === BACKSLASH) first--;
  return (quote - first) % 2 === 1;
}

function isFollowedByColon(text: string, from: number): boolean {
  let at = from;
  while (" \t\n\r".includes(text.charAt(at)) && at < text.length) at++;
  return text.charCodeAt(at) === COLON;
}

/** As JSON reads it, so that an escape cannot make one key look like two; null when it is no string. */
function keyOf(literal: string): string | null {
  try {
    return String(JSON.parse(literal));
  } catch {
    return null;
  }
}
