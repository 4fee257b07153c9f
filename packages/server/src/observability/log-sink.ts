/**
 * Writes a server's log to an output that may be full, closed or unread, none of which may delay the server or its end.
 *
 * pino's own destination (sonic-boom 4.2.1, `maxLength` 1 MiB) does not keep that. Asynchronous, it wrote the lines before
 * `process.exit` in another order in 3 of 20 runs, because a write was still in the thread pool; synchronous, it blocks the
 * event loop for 100 ms at each EAGAIN. In both forms its `flushSync`, which pino calls at exit, tries again without end
 * on a full disk (ENOSPC) and where the reader of a pipe has stopped, so that the process never ends.
 */
import { writeSync } from "node:fs";

/** The part of a stream that pino writes to. */
export interface LogSink {
  write(line: string): void;
}

/** Writes bytes: returns how many were taken, and throws as `writeSync` does. */
type WriteBytes = (bytes: Uint8Array) => number;

/** Characters at which the lines of one turn of the event loop are written before its end. */
const BATCH_LENGTH = 16 << 10;
/** Bytes that are kept for a slow reader; further lines are dropped. */
const MAX_HELD_BYTES = 1 << 20;
const MAX_LINE_LENGTH = 16 << 10;
const RETRY_MS = 100;
const NOTICE_MS = 60_000;
/** Pauses for a slow reader at the end of the process, each of `LAST_PAUSE_MS`. */
const LAST_TRIES = 20;
const LAST_PAUSE_MS = 10;

const EMPTY = new Uint8Array(0);
const NEWLINE = 10;

let numDropped = 0;

/** Number of lines that could not be written, of all sinks of this process. */
export function droppedLogLines(): number {
  return numDropped;
}

/** A log on stdout or stderr, which is also written when the process ends, by itself or by an error. */
export function logTo(descriptor: 1 | 2): LogSink {
  prepare();
  const sink = createSink((bytes) => writeSync(descriptor, bytes));
  process.on("exit", sink.finish);
  return descriptor === 2 ? sink : { write: withNotice(sink) };
}

/** Keeps a failing output from ending the process. */
function prepare(): void {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.listeners("error").includes(ignore)) continue;
    // Access to the stream makes a pipe non-blocking, so that a full one gives EAGAIN instead of blocking the process.
    stream.on("error", ignore);
  }
}

function ignore(): void {}

/** Reports on stderr that the log on stdout has gaps, at most once in a minute. */
function withNotice(sink: Sink): (line: string) => void {
  let nextMs = 0;
  let numReported = 0;
  return (line) => {
    sink.write(line);
    if (numDropped === numReported || performance.now() < nextMs) return;
    nextMs = performance.now() + NOTICE_MS;
    const sentence = `The log cannot be written (${sink.reason()}); lines lost so far: ${numDropped}.\n`;
    numReported = numDropped;
    try {
      writeSync(2, sentence);
    } catch {
      // The counter has it.
    }
  };
}

export interface Sink extends LogSink {
  /** Writes the remaining lines, as far as that is possible within a fifth of a second. */
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
  /** Takes whole lines and writes as much as is possible now. */
  readonly put: (lines: string) => void;
  readonly giveUp: () => void;
  /** Whether bytes are left for later. */
  readonly isWaiting: () => boolean;
  readonly reason: () => string;
}

function createOutlet(writeBytes: WriteBytes): Outlet {
  /** Bytes that could not be written yet. */
  let held: Uint8Array = EMPTY;
  /** Whether the last bytes that were written are the beginning of a line whose rest was dropped. */
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

/** Replaces a line that is longer than readers of logs accept: Docker splits at 16 KiB. */
function tooLong(line: string): string {
  numDropped += 1;
  const msg = `a line of ${line.length} characters was left out`;
  return `${JSON.stringify({ level: 40, time: Date.now(), pid: process.pid, msg })}\n`;
}

function countLines(bytes: Uint8Array): number {
  // An empty first line is the end of a torn one and is not counted.
  let number = bytes[0] === NEWLINE ? -1 : 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) number += 1;
  return number;
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : "unknown";
}
