/**
 * Where a server's log goes: a place that may be full, closed or not read, none of which may hold the server up. Apart from
 * the logger because the logger's own destination tries again without end.
 */
import { writeSync } from "node:fs";

/** What pino wants of a destination. */
export interface LogSink {
  write(line: string): void;
}

/** How bytes leave: returns how many were taken, and throws as `writeSync` does. */
type WriteBytes = (bytes: Uint8Array) => number;

/** Lines of one turn of the event loop go together; so many characters of them do not wait for its end. */
const BATCH_LENGTH = 16 << 10;
/** Kept for a reader that is slow, in bytes; what comes on top is dropped. */
const MAX_HELD_BYTES = 1 << 20;
const MAX_LINE_LENGTH = 16 << 10;
const RETRY_MS = 100;
const NOTICE_MS = 60_000;
/** At the end of the process a slow reader gets so many pauses of so many milliseconds. */
const LAST_TRIES = 20;
const LAST_PAUSE_MS = 10;

const EMPTY = new Uint8Array(0);
const NEWLINE = 10;

let numDropped = 0;

/** Lines of this process that could not be written, of all its sinks. */
export function droppedLogLines(): number {
  return numDropped;
}

/** The log on one of the process's own two outputs, written to the end when the process ends by itself or by an error. */
export function logTo(descriptor: 1 | 2): LogSink {
  prepare();
  const sink = createSink((bytes) => writeSync(descriptor, bytes));
  process.on("exit", sink.finish);
  return descriptor === 2 ? sink : { write: withNotice(sink) };
}

/** What cannot be said, by the log or by anybody, is no reason to end. */
function prepare(): void {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.listeners("error").includes(ignore)) continue;
    // To ask for the stream makes a pipe non-blocking, so that one which nobody reads says EAGAIN instead of stopping us.
    stream.on("error", ignore);
  }
}

function ignore(): void {}

/** Tells on stderr that the log on stdout has gaps, at most once in a minute. */
function withNotice(sink: Sink): (line: string) => void {
  let nextMs = 0;
  let numTold = 0;
  return (line) => {
    sink.write(line);
    if (numDropped === numTold || performance.now() < nextMs) return;
    nextMs = performance.now() + NOTICE_MS;
    const sentence = `The log cannot be written (${sink.reason()}); lines lost so far: ${numDropped}.\n`;
    numTold = numDropped;
    try {
      writeSync(2, sentence);
    } catch {
      // The counter still says it.
    }
  };
}

export interface Sink extends LogSink {
  /** Writes what is left, as far as that is possible within a fifth of a second. */
  readonly finish: () => void;
  /** Code of the last failure, such as ENOSPC. */
  readonly reason: () => string;
}

export function createSink(writeBytes: WriteBytes): Sink {
  const outlet = createOutlet(writeBytes);
  let batch = "";
  let isScheduled = false;
  let retry: NodeJS.Timeout | null = null;

  const flush = (): void => {
    isScheduled = false;
    outlet.put(batch);
    batch = "";
    if (!outlet.isWaiting() || retry !== null) return;
    retry = setTimeout(() => {
      retry = null;
      flush();
    }, RETRY_MS).unref();
  };
  return {
    write: (line) => {
      batch += line.length > MAX_LINE_LENGTH ? tooLong(line) : line;
      if (batch.length >= BATCH_LENGTH) flush();
      else if (!isScheduled) {
        isScheduled = true;
        setImmediate(flush);
      }
    },
    finish: () => {
      flush();
      for (let turn = 0; turn < LAST_TRIES && outlet.isWaiting(); turn++) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_PAUSE_MS);
        outlet.put("");
      }
      outlet.giveUp();
    },
    reason: outlet.reason,
  };
}

interface Outlet {
  /** Takes whole lines and writes what can be written now. */
  readonly put: (lines: string) => void;
  readonly giveUp: () => void;
  /** Whether something is left for later. */
  readonly isWaiting: () => boolean;
  readonly reason: () => string;
}

function createOutlet(writeBytes: WriteBytes): Outlet {
  /** Bytes that the reader had no room for. */
  let held: Uint8Array = EMPTY;
  /** Whether the last that went out was the beginning of a line whose rest was dropped. */
  let isTorn = false;
  let reason = "";

  const take = (lines: string): void => {
    const bytes = Buffer.from(isTorn && held.length === 0 ? `\n${lines}` : lines);
    if (held.length + bytes.length > MAX_HELD_BYTES) numDropped += countLines(bytes);
    else held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
  };
  const giveUp = (): void => {
    numDropped += countLines(held);
    held = EMPTY;
  };
  const push = (): void => {
    while (held.length > 0) {
      try {
        const numTaken = writeBytes(held);
        if (numTaken === 0) return;
        isTorn = held[numTaken - 1] !== NEWLINE;
        held = held.subarray(numTaken);
      } catch (thrown) {
        reason = codeOf(thrown);
        if (reason !== "EAGAIN") giveUp();
        return;
      }
    }
  };
  return {
    put: (lines) => {
      if (lines !== "") take(lines);
      push();
    },
    giveUp,
    isWaiting: () => held.length > 0,
    reason: () => reason,
  };
}

/** In place of a line that is longer than whoever reads logs takes. */
function tooLong(line: string): string {
  numDropped += 1;
  const msg = `a line of ${line.length} characters was left out`;
  return `${JSON.stringify({ level: 40, time: Date.now(), pid: process.pid, msg })}\n`;
}

function countLines(bytes: Uint8Array): number {
  // An empty first line is no line, but the end of a torn one.
  let number = bytes[0] === NEWLINE ? -1 : 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) number += 1;
  return number;
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : "unknown";
}
