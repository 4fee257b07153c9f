/**
 * Cuts a relayed stream where its frames end, apart because the relay must be able to add frames of its own, or another
 * worker's, between two of them. Takes out the lines that are between controller and worker (hop.ts of the protocol), as
 * bytes; what is left of a frame is never read as JSON and never changed. At most one unfinished frame is held.
 */
import { LlavaError, MAX_FRAME_BYTES, parseHopHead, parseHopTokens, type HopHead } from "@llava/protocol";

/** Server-sent events, each with an empty line at its end, or LLaVA's wire, with NUL at the end of each JSON object. */
export type Framing = "events" | "wire";

export interface Frame {
  /** Whole, without the hop's lines; empty when there was nothing else in it. */
  readonly bytes: Uint8Array;
  /**
   * `filler` keeps a connection awake; `failure` says that the worker gave up; `end` is the last event of a stream that is
   * complete (LLaVA's wire has none); `nonsense` is nothing that a worker sends.
   */
  readonly kind: "data" | "filler" | "failure" | "end" | "nonsense";
  /** What a continuation must repeat; with the first data that comes. */
  readonly head: HopHead | null;
  /** Those of the frame's text. */
  readonly tokens: readonly number[];
}

const NUL = 0x00;
const LINE_FEED = 0x0a;
const RETURN = 0x0d;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const NO_TOKENS: readonly number[] = [];
/** Of a hop's line; the tokens of one frame are a handful. */
const MAX_HOP_LINE_BYTES = 1 << 16;

export class FrameBorder {
  readonly #framing: Framing;
  readonly #maxFrameBytes: number;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  /** Whether the line that is not complete yet has nothing in it so far. */
  #isLineEmpty = true;

  constructor(framing: Framing, maxFrameBytes = MAX_FRAME_BYTES) {
    this.#framing = framing;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** The frames that these bytes complete; `worker_lost` when one does not end within the limit. */
  push(chunk: Uint8Array): readonly Frame[] {
    const frames: Frame[] = [];
    let start = 0;
    for (let end = this.#endIn(chunk, 0); end > 0; end = this.#endIn(chunk, end)) {
      frames.push(readFrame(this.#take(chunk.subarray(start, end)), this.#framing));
      start = end;
    }
    if (start < chunk.length) this.#hold(chunk.subarray(start));
    return frames;
  }

  /** What is left at the stream's end, as the frame that it would be; null when it ended where a frame does. */
  rest(): Frame | null {
    return this.#heldBytes === 0 ? null : readFrame(this.#take(new Uint8Array()), this.#framing);
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

  #hold(bytes: Uint8Array): void {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > this.#maxFrameBytes) throw tooLong(this.#maxFrameBytes);
  }

  #take(last: Uint8Array): Uint8Array {
    if (this.#heldBytes + last.length > this.#maxFrameBytes) throw tooLong(this.#maxFrameBytes);
    const whole = this.#held.length === 0 ? last : Buffer.concat([...this.#held, last]);
    this.#held = [];
    this.#heldBytes = 0;
    return whole;
  }
}

/** Whether a line has no more than the return of a CRLF. */
function isBlank(bytes: Uint8Array, start: number, end: number): boolean {
  return end === start || (end === start + 1 && bytes[start] === RETURN);
}

function readFrame(whole: Uint8Array, framing: Framing): Frame {
  let bytes = whole;
  let head: HopHead | null = null;
  let tokens = NO_TOKENS;
  while (bytes[0] === COLON) {
    const end = bytes.indexOf(LINE_FEED) + 1;
    if (end === 0 || end > MAX_HOP_LINE_BYTES) break;
    const line = textOf(bytes, 0, end - 1);
    const lineHead = parseHopHead(line);
    const lineTokens = lineHead === null ? parseHopTokens(line) : null;
    if (lineHead === null && lineTokens === null) break;
    head = lineHead ?? head;
    if (lineTokens !== null) tokens = tokens.length === 0 ? lineTokens : [...tokens, ...lineTokens];
    bytes = bytes.subarray(end);
  }
  const hasOnlyEnd = bytes.length < whole.length && bytes.every((byte) => byte === LINE_FEED || byte === NUL);
  if (hasOnlyEnd) return { bytes: new Uint8Array(), kind: "filler", head, tokens };
  return { bytes, kind: framing === "events" ? eventKind(bytes) : wireKind(bytes), head, tokens };
}

function eventKind(bytes: Uint8Array): Frame["kind"] {
  const start = afterComments(bytes);
  const line = textOf(bytes, start, start + 20);
  if (line.trim() === "") return "filler";
  const field = /^(?:data|event|id|retry)(?=:|[\r\n])/.exec(line)?.[0];
  if (field === undefined) return "nonsense";
  if (field === "event" && /^event: ?error[\r\n]/.test(line)) return "failure";
  if (field !== "data") return "data";
  if (/^data: ?\[DONE\]/.test(line)) return "end";
  if (/^data: ?\{"error"/.test(line)) return "failure";
  if (/^data: ?\{/.test(line) && lastByte(bytes) !== CLOSE_OBJECT) return "nonsense";
  return "data";
}

/** Where the first line begins that is no comment. */
function afterComments(bytes: Uint8Array): number {
  let start = 0;
  while (bytes[start] === COLON) {
    const end = bytes.indexOf(LINE_FEED, start);
    if (end < 0) return bytes.length;
    start = end + 1;
  }
  return start;
}

function wireKind(bytes: Uint8Array): Frame["kind"] {
  if (bytes.every((byte) => byte === NUL)) return "filler";
  if (bytes[0] !== OPEN_OBJECT || lastByte(bytes) !== CLOSE_OBJECT) return "nonsense";
  // A text cannot end so: its quotes are escaped.
  const tail = textOf(bytes, Math.max(0, bytes.length - 32), bytes.length);
  return /"error_code": ?[1-9]\d*\}\0?$/.test(tail) ? "failure" : "data";
}

/** The last byte before the frame's end. */
function lastByte(bytes: Uint8Array): number | undefined {
  let at = bytes.length - 1;
  while (bytes[at] === NUL || bytes[at] === LINE_FEED || bytes[at] === RETURN) at -= 1;
  return bytes[at];
}

/** All that is looked at is ASCII. */
function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1", start, end);
}

function tooLong(maxBytes: number): LlavaError {
  return new LlavaError("worker_lost", `The worker sent a frame of more than ${maxBytes} bytes; ask again.`);
}
