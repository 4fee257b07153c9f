/**
 * Writes and reads server-sent events as OpenAI uses them: servers write them, and browsers, clients of workers and the
 * command line read them from raw bytes. The rules for lines, fields and comments are those of the HTML standard.
 */
import { createParser, type EventSourceParser } from "eventsource-parser";

import { LlavaError } from "./errors.ts";

export const SSE_HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const;

/** The data of the last event of an OpenAI stream. */
export const SSE_DONE = "[DONE]";
/** A comment that readers skip. It is sent while nothing else is, so that proxies keep the connection. */
export const SSE_PING = ": ping\n\n";

/** The longest event that is held, as long as the longest frame of LLaVA's wire. */
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

/** The events of a byte stream in order; an event without its empty line at the end of the stream is dropped, as browsers do. */
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

/** Turns bytes into whole events. Lines may end in LF, CR or CRLF and be cut anywhere, inside characters too. */
export class SseParser {
  // The parser below takes a byte order mark away itself; one more in front of the data would be data.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #parser: EventSourceParser;
  #events: SseEvent[] = [];
  #lastEventId = "";

  /** @param maxEventLength the longest event and the longest line that are held, in UTF-16 code units */
  constructor(maxEventLength = MAX_EVENT_LENGTH) {
    this.#parser = createParser({
      maxBufferSize: maxEventLength,
      onEvent: ({ event = "message", data }) => this.#events.push({ event, data }),
      onId: (id) => (this.#lastEventId = id),
      onError: ({ type }) => {
        if (type === "max-buffer-size-exceeded") throw tooLong(maxEventLength);
      },
    });
  }

  /** The id that came with the last whole event, or before it; empty when there was none. */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  push(bytes: Uint8Array): readonly SseEvent[] {
    this.#events = [];
    this.#parser.feed(this.#decoder.decode(bytes, { stream: true }));
    return this.#events;
  }
}

function tooLong(maxEventLength: number): LlavaError {
  return new LlavaError(
    "worker_lost",
    `The server sent an event of more than ${maxEventLength} characters; the answer is incomplete. Ask again.`,
  );
}
