/**
 * Reads what the relay must know of one frame of a relayed stream. Takes out the lines that are between controller and
 * worker (resume.ts of the protocol), as bytes; what is left of a frame is never parsed as JSON and never changed.
 */
import { parseResumeHead, parseResumeTokens, type Framing, type ResumeHead } from "@llava/protocol";

export interface Frame {
  /** The frame without the lines between controller and worker; empty when there was nothing else in it. */
  readonly bytes: Uint8Array;
  /**
   * `filler` keeps a connection awake; `failure` means that the worker gave up; `end` is the last event of a stream that is
   * complete (LLaVA's wire has none); `nonsense` is nothing that a worker sends.
   */
  readonly kind: "data" | "filler" | "failure" | "end" | "nonsense";
  /** What a continuation must repeat; it comes with the first data. */
  readonly head: ResumeHead | null;
  /** The token ids of the frame's text. */
  readonly tokens: readonly number[];
}

const NUL = 0x00;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const NO_TOKENS: readonly number[] = [];
/** The longest line between controller and worker; one frame has a handful of tokens. */
const MAX_RESUME_LINE_BYTES = 1 << 16;

/** @param whole a frame as it came, with the bytes that end it */
export function readFrame(whole: Uint8Array, framing: Framing): Frame {
  let bytes = whole;
  let head: ResumeHead | null = null;
  let tokens = NO_TOKENS;
  while (bytes[0] === COLON) {
    const end = bytes.indexOf(LINE_FEED) + 1;
    if (end === 0 || end > MAX_RESUME_LINE_BYTES) break;
    const line = textOf(bytes, 0, end - 1);
    const lineHead = parseResumeHead(line);
    const lineTokens = lineHead === null ? parseResumeTokens(line) : null;
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

/** The index where the first line begins that is no comment. */
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
  // No text can end like this, as its quotes are escaped.
  const tail = textOf(bytes, Math.max(0, bytes.length - 32), bytes.length);
  return /"error_code": ?[1-9]\d*\}\0?$/.test(tail) ? "failure" : "data";
}

/** The last byte before the frame's end. */
function lastByte(bytes: Uint8Array): number | undefined {
  let at = bytes.length - 1;
  while (bytes[at] === NUL || bytes[at] === LINE_FEED || bytes[at] === CARRIAGE_RETURN) at -= 1;
  return bytes[at];
}

/** All that is looked for is ASCII. */
function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1", start, end);
}
