/**
 * JSON from untrusted files, apart because `JSON.parse` alone keeps the last of two equal names and says nothing:
 * two readers of one file could then see different weights.
 */
import { damaged } from "./damaged.ts";

/** Both a header and an index of shards have three levels of names; one more is harmless. */
const MAX_DEPTH = 4;

/** `subject` begins the sentence of the `invalid_checkpoint` that is thrown for what `parseStrictJson` refuses. */
export function parseFileJson(path: string, subject: string, text: string): unknown {
  try {
    return parseStrictJson(text, MAX_DEPTH);
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? cause.message : "it cannot be parsed";
    throw damaged(path, `${subject} is not the JSON it should be: ${reason}`, cause);
  }
}

/** Throws SyntaxError for what is no JSON, nests deeper than `maxDepth`, or gives one object the same name twice. */
export function parseStrictJson(text: string, maxDepth: number): unknown {
  requireUniqueNames(text, maxDepth);
  return JSON.parse(text);
}

/** True for `{…}`. Its own names are as the text has them, `__proto__` included, which copies of it would lose. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Looks only at brackets, colons and strings, and is right for every valid JSON text; `JSON.parse` refuses the others
 * afterwards. A string is a name when a colon follows it.
 */
function requireUniqueNames(text: string, maxDepth: number): void {
  const open: Set<string>[] = [];
  let position = 0;
  while (position < text.length) {
    const character = text[position];
    if (character === '"') {
      const end = endOfString(text, position);
      if (isFollowedByColon(text, end)) addName(open.at(-1), text.slice(position, end));
      position = end;
      continue;
    }
    if (character === "{" || character === "[") {
      open.push(new Set());
      if (open.length > maxDepth) throw new SyntaxError(`it nests deeper than ${maxDepth} levels`);
    } else if (character === "}" || character === "]") {
      open.pop();
    }
    position++;
  }
}

/** The position after the closing quote of the string that begins at `start`; the text's end when there is none. */
function endOfString(text: string, start: number): number {
  let quote = text.indexOf('"', start + 1);
  while (quote !== -1) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
    quote = text.indexOf('"', quote + 1);
  }
  return text.length;
}

function isFollowedByColon(text: string, end: number): boolean {
  let position = end;
  while (position < text.length && " \t\n\r".includes(text.charAt(position))) position++;
  return text[position] === ":";
}

/** `literal` is the quoted form: "a" and "\u0061" are the same name, so it is decoded first. */
function addName(names: Set<string> | undefined, literal: string): void {
  const name = String(JSON.parse(literal));
  if (names?.has(name) === true) throw new SyntaxError(`the name ${literal.slice(0, 120)} appears twice`);
  names?.add(name);
}
