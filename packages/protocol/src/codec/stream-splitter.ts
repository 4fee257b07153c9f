/**
 * Splits a byte stream into frames, each with the bytes that end it, so that frames can be passed on byte for byte and
 * others put between them. It holds at most one unfinished frame.
 */
import { LlavaError } from "./errors.ts";

/**
 * How frames end: `events` are server-sent events, each with an empty line at its end; `wire` is LLaVA's, with a NUL behind
 * each JSON object (haotian-liu/LLaVA, `llava/serve/model_worker.py`).
 */
export type Framing = "events" | "wire";

/** The longest frame that is held, in bytes. */
const MAX_FRAME_BYTES = 1 << 20;

const NUL = 0x00;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export class StreamFrameSplitter {
  readonly #framing: Framing;
  readonly #maxFrameBytes: number;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  /** Whether the line that is not complete yet is empty so far. */
  #isLineEmpty = true;

  constructor(framing: Framing, maxFrameBytes = MAX_FRAME_BYTES) {
    this.#framing = framing;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** The frames that these bytes complete; throws `worker_lost` when one does not end within the limit. */
  push(chunk: Uint8Array): readonly Uint8Array[] {
    const frames: Uint8Array[] = [];
    let start = 0;
    for (let end = this.#endIn(chunk, 0); end > 0; end = this.#endIn(chunk, end)) {
      frames.push(this.#take(chunk.subarray(start, end)));
      start = end;
    }
    if (start < chunk.length) this.#hold(chunk.subarray(start));
    return frames;
  }

  /** The bytes behind the last whole frame, at the stream's end; null when there are none. */
  rest(): Uint8Array | null {
    return this.#heldBytes === 0 ? null : this.#take(new Uint8Array());
  }

  /** The index behind the first frame's end from `start` on, or 0. */
  #endIn(chunk: Uint8Array, start: number): number {
    if (this.#framing === "wire") return chunk.indexOf(NUL, start) + 1;
    let lineStart = start;
    for (let at = chunk.indexOf(LINE_FEED, start); at >= 0; at = chunk.indexOf(LINE_FEED, at + 1)) {
      const isEmpty = this.#isLineEmpty && isBlank(chunk, lineStart, at);
      this.#isLineEmpty = true;
      lineStart = at + 1;
      if (isEmpty) return lineStart;
    }
    this.#isLineEmpty &&= isBlank(chunk, lineStart, chunk.length);
    return 0;
  }

  /** Copies the bytes, as their reader may use the same memory for the next ones. */
  #hold(bytes: Uint8Array): void {
    this.#check(bytes.length);
    this.#held.push(Uint8Array.from(bytes));
    this.#heldBytes += bytes.length;
  }

  #take(last: Uint8Array): Uint8Array {
    this.#check(last.length);
    if (this.#heldBytes === 0) return last;
    const whole = new Uint8Array(this.#heldBytes + last.length);
    let at = 0;
    for (const part of [...this.#held, last]) {
      whole.set(part, at);
      at += part.length;
    }
    this.#held = [];
    this.#heldBytes = 0;
    return whole;
  }

  #check(moreBytes: number): void {
    if (this.#heldBytes + moreBytes <= this.#maxFrameBytes) return;
    throw new LlavaError(
      "worker_lost",
      `The worker sent a frame of more than ${this.#maxFrameBytes} bytes; the answer is incomplete. Ask again.`,
    );
  }
}

/** Whether a line has no more than the carriage return of a CRLF. */
function isBlank(bytes: Uint8Array, start: number, end: number): boolean {
  return end === start || (end === start + 1 && bytes[start] === CARRIAGE_RETURN);
}
