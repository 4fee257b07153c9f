/** Turns token ids into text deltas that never end in half a character and never contain part of a stop string. */

/** What the detokenizer needs of a tokenizer. */
export interface TokenText {
  /** The UTF-8 bytes that an id adds; a character may be spread over several ids. */
  tokenBytes(id: number): Uint8Array;
  /** Ids that add no text to an answer. */
  readonly specialIds: ReadonlySet<number>;
  /** True: the tokenizer writes a space in front of every text, which is left out of the answer. */
  readonly stripsLeadingSpace: boolean;
}

export interface Delta {
  /** Text that may be shown now; may be empty. */
  readonly text: string;
  /** True: the answer ended at a stop string, which is not part of the text. */
  readonly isStopped: boolean;
}

/**
 * How an answer begins: a text of its own loses the space that a tokenizer writes in front of every text; a message of a
 * conversation starts with its first word, whatever the template has before it; a continuation keeps every character.
 */
export type AnswerStart = "text" | "message" | "continuation";

const ONE_SPACE = /^ /;
const WHITE_SPACE = /^\s+/;
const NO_BYTES = new Uint8Array(0);

export class Detokenizer {
  readonly #tokens: TokenText;
  readonly #stops: readonly string[];
  /** Keeps the bytes of half a character until the rest comes. */
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  /** What is removed from the front of the answer: one space of the tokenizer's, all white space, or nothing any more. */
  #leading: RegExp | undefined;
  /** Text that is decoded and held back: the longest tail that could still grow into a stop string. */
  #held = "";

  constructor(tokens: TokenText, stops: readonly string[], start: AnswerStart = "text") {
    this.#tokens = tokens;
    this.#stops = stops.filter((stop) => stop !== "");
    if (start === "message") this.#leading = WHITE_SPACE;
    else if (start === "text" && tokens.stripsLeadingSpace) this.#leading = ONE_SPACE;
  }

  /** @param isStoppable false: the text up to here is not searched for stop strings, now or later */
  push(id: number, isStoppable = true): Delta {
    const text = this.#tokens.specialIds.has(id) ? "" : this.#decode(this.#tokens.tokenBytes(id));
    return this.#release(text, isStoppable ? this.#stops : []);
  }

  /** Number of the newest tokens that `text` consists of, which ended with them or somewhere in them. */
  countTokensOf(ids: readonly number[], text: string): number {
    const bytes = ids.map((id) => (this.#tokens.specialIds.has(id) ? NO_BYTES : this.#tokens.tokenBytes(id)));
    const all = Buffer.concat(bytes).toString("utf8");
    const end = Buffer.byteLength(all.slice(0, Math.max(0, all.indexOf(text)) + text.length));
    let length = 0;
    let count = 0;
    for (; count < bytes.length && length < end; count++) length += bytes[count]?.length ?? 0;
    return count;
  }

  /** The text that is still held back when the answer ends for another reason. */
  finish(): Delta {
    const { text, isStopped } = this.#release(this.#decoder.decode());
    const rest = this.#held;
    this.#held = "";
    return { text: text + rest, isStopped };
  }

  #decode(bytes: Uint8Array): string {
    const text = this.#decoder.decode(bytes, { stream: true });
    return this.#leading === undefined ? text : this.#trimmed(text, this.#leading);
  }

  /** White space at the front may come in several pieces; the first other character ends it. */
  #trimmed(text: string, leading: RegExp): string {
    const rest = text.replace(leading, "");
    if (rest !== "" || (leading === ONE_SPACE && text !== "")) this.#leading = undefined;
    return rest;
  }

  #release(text: string, stops = this.#stops): Delta {
    const pending = this.#held + text;
    const stopAt = earliestStop(pending, stops);
    if (stopAt !== undefined) {
      this.#held = "";
      return { text: pending.slice(0, stopAt), isStopped: true };
    }
    const heldLength = Math.max(0, ...stops.map((stop) => overlap(pending, stop)));
    this.#held = pending.slice(pending.length - heldLength);
    return { text: pending.slice(0, pending.length - heldLength), isStopped: false };
  }
}

function earliestStop(text: string, stops: readonly string[]): number | undefined {
  const found = stops.map((stop) => text.indexOf(stop)).filter((index) => index !== -1);
  return found.length > 0 ? Math.min(...found) : undefined;
}

/** Length of the longest tail of `text` that is a proper beginning of `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
