/**
 * Finds what `JSON.parse` accepts and no honest sender writes: a key that one object has twice, of which `JSON.parse` keeps
 * the last without a word, so that two readers of one text see two values; and depths and numbers of keys that cost more
 * memory than the text's length suggests.
 */
import { JsonScanner } from "./json-scanner.ts";

export interface JsonLimits {
  /** The number of objects and lists that may lie inside one another. */
  readonly maxDepth: number;
  /** The number of keys in the whole text. */
  readonly maxKeys?: number;
  /** Whether keys are refused by which a careless copy of the value would change what all objects inherit. */
  readonly refusesPrototypes?: boolean;
}

/** An object that is open, with the keys that it has had; null stands for a list. */
type Level = { readonly keys: Set<string>; lastKey: string } | null;

/**
 * The fault of a JSON text in UTF-8, to be put behind its name: "is nested deeper than 4". Null does not promise that the
 * text is JSON. It takes one pass and builds no value.
 */
export function strictJsonFault(json: Uint8Array, limits: JsonLimits): string | null {
  const { maxDepth, maxKeys = Number.POSITIVE_INFINITY } = limits;
  const scanner = new JsonScanner(json);
  const levels: Level[] = [];
  let numKeys = 0;
  while (true) {
    const token = scanner.next();
    if (token === "end" || token === "unfinished") return null;
    if (token === "close") levels.pop();
    if (token === "object" || token === "list") {
      if (levels.length === maxDepth) return `is nested deeper than ${maxDepth}`;
      levels.push(token === "object" ? { keys: new Set(), lastKey: "" } : null);
    }
    const level = levels.at(-1);
    if (token !== "key" || level === undefined || level === null) continue;
    numKeys += 1;
    if (numKeys > maxKeys) return `has more than ${maxKeys} keys`;
    const key = scanner.text();
    // JSON.parse refuses what is no string in JSON.
    if (key === null) return null;
    const fault = keyFault(key, level.keys, levels.at(-2)?.lastKey, limits);
    if (fault !== null) return fault;
    level.keys.add(key);
    level.lastKey = key;
  }
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
