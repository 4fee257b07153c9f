/**
 * Server-sent events as OpenAI uses them, apart because servers write them and browsers, workers' clients and the
 * command line read them from raw bytes. Follows the WHATWG rules for lines, fields and comments.
 */
import { LlavaError } from "./errors.ts";

export const SSE_HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const;

/** The data of the last event of an OpenAI stream. */
export const SSE_DONE = "[DONE]";
/** A comment that readers skip; sent while nothing else is, so that proxies keep the connection. */
export const SSE_PING = ": ping\n\n";

const MAX_EVENT_LENGTH = 1 << 20;

export interface SseEvent {
  /** "message" unless the sender named it. */
  readonly event: string;
  readonly data: string;
}

/** One event; text with line breaks becomes several data lines, which a reader joins again. */
export function encodeSse(data: string, event?: string): string {
  const name = event === undefined ? "" : `event: ${event}\n`;
  return `${name}data: ${data.split(/\r\n|\r|\n/).join("\ndata: ")}\n\n`;
}

/** One event whose data is the value as JSON. */
export function encodeSseJson(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

/** The events of a byte stream in order; an event cut off by the end of the stream is dropped, as browsers do. */
export async function* readSse(
  stream: AsyncIterable<Uint8Array>,
  maxEventLength = MAX_EVENT_LENGTH,
): AsyncGenerator<SseEvent, void, undefined> {
  const parser = new SseParser(maxEventLength);
  for await (const bytes of stream) yield* parser.push(bytes);
}

/** A `fetch` body as chunks; in browsers a ReadableStream is not always iterable. Cancels the body when left early. */
export async function* readBody(
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (body === null) return;
  const reader = body.getReader();
  let isDone = false;
  try {
    while (true) {
      const next = await reader.read();
      if (next.done) break;
      yield next.value;
    }
    isDone = true;
  } finally {
    if (!isDone) await reader.cancel().catch(() => undefined);
  }
}

/** Push bytes, get whole events. Lines may end in LF, CR or CRLF and lie anywhere across chunks, characters too. */
export class SseParser {
  readonly #decoder = new TextDecoder();
  readonly #maxEventLength: number;
  #line = "";
  #endedInCr = false;
  #event = "";
  #id = "";
  #lastEventId = "";
  #data: string[] = [];
  #dataLength = 0;

  constructor(maxEventLength = MAX_EVENT_LENGTH) {
    this.#maxEventLength = maxEventLength;
  }

  /** The id that came with the last whole event, or before it; empty when there was none. */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  push(bytes: Uint8Array): SseEvent[] {
    const events: SseEvent[] = [];
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === "") return events;
    if (this.#endedInCr && text.startsWith("\n")) text = text.slice(1);
    this.#endedInCr = text === "" ? false : text.endsWith("\r");
    const lines = text.split(/\r\n|\r|\n/);
    const rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = this.#take(this.#line + line);
      this.#line = "";
      if (event !== null) events.push(event);
    }
    this.#line += rest;
    this.#check(this.#line.length);
    return events;
  }

  #take(line: string): SseEvent | null {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "event") this.#event = value;
    if (field === "id" && !value.includes("\0")) this.#id = value;
    if (field === "data") {
      this.#check(value.length);
      this.#data.push(value);
      this.#dataLength += value.length + 1;
    }
    return null;
  }

  #dispatch(): SseEvent | null {
    const event = this.#event === "" ? "message" : this.#event;
    const data = this.#data;
    this.#event = "";
    this.#lastEventId = this.#id;
    this.#data = [];
    this.#dataLength = 0;
    return data.length === 0 ? null : { event, data: data.join("\n") };
  }

  #check(more: number): void {
    if (this.#dataLength + more <= this.#maxEventLength) return;
    throw new LlavaError(
      "worker_lost",
      `The server sent an event of more than ${this.#maxEventLength} characters; the answer is incomplete. Ask again.`,
    );
  }
}
