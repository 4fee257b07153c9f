/**
 * Walks over the strings and brackets of a JSON text in UTF-8 bytes without parsing it: a body may hold megabytes of
 * images, which `JSON.parse` would copy while every other request waits. Strings are jumped over by a search for their
 * closing quote. Nothing else of JSON's grammar is checked.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/** The tokens by the byte with which they begin; other bytes begin none. */
const TOKENS: ReadonlyMap<number, "object" | "list" | "close" | "string"> = new Map([
  [QUOTE, "string"],
  [0x7b, "object"],
  [0x5b, "list"],
  [0x7d, "close"],
  [0x5d, "close"],
]);
/** 1 for each byte of `TOKENS`: a table is what a loop over bytes reads fastest. */
const BEGINS_TOKEN = Uint8Array.from({ length: 256 }, (_, byte) => (TOKENS.has(byte) ? 1 : 0));

/** Bytes that are looked at one by one before the search for a quote, whose call alone costs as much as they do. */
const NEAR_BYTES = 24;

/** Units of work that one search for a quote costs: about 100 ns, where one byte that is looked at costs some 5 ns. */
export const SEARCH_WORK = 16;
/** Units of work that reading a key's text costs: about 1 µs. */
const KEY_WORK = 256;

/**
 * `object` and `list` open a level and `close` ends one; `key` is a string with a colon behind it; `end` is the end of the
 * text, `unfinished` its end inside a string; `overspent` means that the text costs more work than allowed.
 */
export type JsonToken = "object" | "list" | "close" | "key" | "string" | "end" | "unfinished" | "overspent";

export class JsonScanner {
  readonly #bytes: Uint8Array;
  #at: number;
  #workLeft: number;
  #depth = 0;
  #start = 0;
  #end = 0;

  /**
   * @param start index of the first byte to look at
   * @param maxWork units of work, of which one byte costs 1 and one search for a quote `SEARCH_WORK`
   */
  constructor(bytes: Uint8Array, start = 0, maxWork = Number.POSITIVE_INFINITY) {
    this.#bytes = bytes;
    this.#at = start;
    this.#workLeft = maxWork;
  }

  /** The number of levels that are open. */
  get depth(): number {
    return this.#depth;
  }

  /** The index behind the opening quote of the last string or key. */
  get start(): number {
    return this.#start;
  }

  /** The index of the closing quote of the last string or key. */
  get end(): number {
    return this.#end;
  }

  /** The units of work that may still be spent; below 0 when the text has cost too much. */
  get workLeft(): number {
    return this.#workLeft;
  }

  /** The next bracket or string, in their order. */
  next(): JsonToken {
    const bytes = this.#bytes;
    const first = this.#at;
    const limit = Math.min(bytes.length, first + this.#workLeft);
    let at = first;
    while (at < limit && BEGINS_TOKEN[bytes[at] ?? 0] === 0) at += 1;
    const token = at < limit ? TOKENS.get(bytes[at] ?? 0) : undefined;
    if (token !== undefined) at += 1;
    this.#at = at;
    this.#workLeft -= at - first;
    if (token === undefined) return at < bytes.length ? "overspent" : "end";
    if (token === "string") return this.#readString();
    this.#depth += token === "close" ? -1 : 1;
    return token;
  }

  /** The next string or key, by a search; brackets before it are not counted, so that `depth` means nothing any more. */
  nextString(): JsonToken {
    const quote = this.#find(this.#at);
    if (this.#workLeft < 0) return "overspent";
    if (quote < 0) return "end";
    this.#at = quote + 1;
    return this.#readString();
  }

  /** The index of the next byte that is no white space: behind a key, where its value begins. */
  skipSpace(): number {
    const first = this.#at;
    const limit = Math.min(this.#bytes.length, first + Math.max(0, this.#workLeft) + 1);
    while (this.#at < limit && isJsonSpace(this.#bytes[this.#at])) this.#at += 1;
    this.#workLeft -= this.#at - first;
    return this.#at;
  }

  /** The text of the last string or key with its escapes resolved; null when it is no string in JSON. */
  text(): string | null {
    this.#workLeft -= KEY_WORK;
    return readJsonString(this.#bytes, this.#start, this.#end);
  }

  #readString(): JsonToken {
    this.#start = this.#at;
    let end = this.#find(this.#at);
    while (end >= 0 && this.#isEscaped(end)) end = this.#find(end + 1);
    if (this.#workLeft < 0) return "overspent";
    if (end < 0) return "unfinished";
    this.#end = end;
    this.#at = end + 1;
    const colon = this.skipSpace();
    if (this.#workLeft < 0) return "overspent";
    if (this.#bytes[colon] !== COLON) return "string";
    this.#at = colon + 1;
    return "key";
  }

  /** The index of the next quote; -1 when there is none or the work is spent. */
  #find(from: number): number {
    this.#workLeft -= SEARCH_WORK;
    if (this.#workLeft < 0) return -1;
    const bytes = this.#bytes;
    const near = Math.min(bytes.length, from + NEAR_BYTES);
    for (let at = from; at < near; at += 1) if (bytes[at] === QUOTE) return at;
    return near === bytes.length ? -1 : bytes.indexOf(QUOTE, near);
  }

  /** Whether an odd number of backslashes stands before the quote. */
  #isEscaped(quote: number): boolean {
    const least = Math.max(this.#start, quote - this.#workLeft - 1);
    let first = quote;
    while (first > least && this.#bytes[first - 1] === BACKSLASH) first -= 1;
    this.#workLeft -= quote - first;
    return (quote - first) % 2 === 1;
  }
}

/** The four bytes that JSON allows between its parts (RFC 8259, section 2). */
export function isJsonSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** A byte order mark is a character of the string like any other. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function readJsonString(bytes: Uint8Array, start: number, end: number): string | null {
  const plain = end - start <= NEAR_BYTES ? plainAscii(bytes, start, end) : null;
  if (plain !== null) return plain;
  try {
    const text: unknown = JSON.parse(decoder.decode(bytes.subarray(start - 1, end + 1)));
    return typeof text === "string" ? text : null;
  } catch {
    return null;
  }
}

/** The string of bytes that stand for themselves, which most keys are and which a decoder takes ten times as long for. */
function plainAscii(bytes: Uint8Array, start: number, end: number): string | null {
  let text = "";
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return null;
    text += String.fromCharCode(byte);
  }
  return text;
}
