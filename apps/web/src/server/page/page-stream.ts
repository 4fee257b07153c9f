/**
 * Keeps one answer as a whole: it is read from the controller whether or not a browser is connected, and a browser
 * that comes back gets all of it.
 */
import { randomBytes } from "node:crypto";

import { LlavaError, parseProgress, readChatStream, toLlavaError } from "@llava/protocol";
import type { ChatEvent, PageEnd, PageError, PageEvent, PageProgress } from "@llava/protocol";
import type { Dispatcher } from "undici";

import { errorStatusBody } from "../upstream/error-status.ts";
import { brokenOff } from "../upstream/forward.ts";

/** Most characters of an answer, far more than any model's context. */
const MAX_TEXT_LENGTH = 1 << 20;
/**
 * Longest time of an answer, milliseconds; a slow machine writes a long answer in a few minutes, and a longer one is
 * stuck.
 */
const MAX_RUN_MS = 30 * 60_000;
/** Most characters of a comment; a longer line is none. */
const MAX_COMMENT_LENGTH = 4_096;

export class PageStream {
  readonly id = randomBytes(16).toString("hex");
  /** End of the answer in milliseconds of the process clock; infinite while it runs. */
  endedMs = Infinity;
  #text = "";
  #progress: PageProgress | null = { kind: "sent" };
  #migrations = 0;
  #end: PageEnd | null = null;
  readonly #stopping = new AbortController();
  readonly #publish: (event: PageEvent) => void;

  /** @param publish receives all events after the first snapshot */
  constructor(publish: (event: PageEvent) => void) {
    this.#publish = publish;
  }

  /** Number of characters of the text. */
  get length(): number {
    return this.#text.length;
  }

  get end(): PageEnd | null {
    return this.#end;
  }

  snapshot(): PageEvent {
    return {
      type: "snapshot",
      stream: this.id,
      text: this.#text,
      progress: this.#progress,
      migrations: this.#migrations,
      end: this.#end,
    };
  }

  /** Stops the answer; without a reason, at the user's request. */
  stop(reason?: LlavaError): void {
    this.#stopping.abort(reason);
  }

  /**
   * Reads the answer to its end; never throws. @param ask sends the question; @param watch receives the answer's
   * bytes
   */
  async run(
    ask: (signal: AbortSignal) => Promise<Dispatcher.ResponseData>,
    watch?: (bytes: Uint8Array) => void,
  ): Promise<void> {
    const { signal } = this.#stopping;
    const timer = setTimeout(() => this.stop(tooSlow()), MAX_RUN_MS).unref();
    try {
      const answer = await ask(signal);
      if (answer.statusCode === 200) await this.#read(showing(answer.body, this.#comment, watch));
      else {
        const error = await errorStatusBody(answer);
        signal.throwIfAborted();
        this.#finish({ kind: "failed", error });
      }
    } catch (thrown) {
      this.#finish(this.#failure(toLlavaError(thrown)));
    } finally {
      clearTimeout(timer);
    }
  }

  async #read(body: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const event of readChatStream(body)) this.#take(event);
  }

  #take(event: ChatEvent): void {
    if (event.type === "error") return this.#finish(this.#failure(event.error));
    if (event.type === "finished") {
      const { reason, usage, timings } = event;
      return this.#finish({ kind: "finished", reason, usage, timings });
    }
    this.#progress = null;
    this.#text += event.text;
    this.#publish({ type: "delta", stream: this.id, text: event.text });
    if (this.#text.length > MAX_TEXT_LENGTH) this.stop(tooLong());
  }

  /** Reads a comment of the stream, which OpenAI's clients skip. */
  readonly #comment = (comment: string): void => {
    if (comment === "migrated") {
      this.#migrations += 1;
      this.#publish({ type: "migrated", stream: this.id });
    }
    const progress = this.#text === "" ? parseProgress(comment) : null;
    if (progress === null) return;
    this.#progress = progress.kind === "queued" ? { ...progress, etaMs: null } : progress;
    this.#publish({ type: "progress", stream: this.id, progress: this.#progress });
  };

  #failure(error: LlavaError): PageEnd {
    const reason: unknown = this.#stopping.signal.reason;
    if (!this.#stopping.signal.aborted) return { kind: "failed", error: pageError(error) };
    return reason instanceof LlavaError ? { kind: "failed", error: pageError(reason) } : { kind: "stopped" };
  }

  #finish(end: PageEnd): void {
    if (this.#end !== null) return;
    this.#end = end;
    this.#progress = null;
    this.endedMs = performance.now();
    this.#publish({ type: "end", stream: this.id, end });
  }
}

export function pageError({ code, message, retryable }: LlavaError): PageError {
  return { code, message, retryable, retryAfterMs: null };
}

/** The bytes of the body; calls back for them and for the comments in them. */
async function* showing(
  body: AsyncIterable<Uint8Array>,
  comment: (text: string) => void,
  watch: ((bytes: Uint8Array) => void) | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const bytes of body) {
      watch?.(bytes);
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = (lines.pop() ?? "").slice(0, MAX_COMMENT_LENGTH);
      for (const line of lines) if (line.startsWith(": ")) comment(line.slice(2));
      yield bytes;
    }
  } catch (thrown) {
    throw brokenOff(thrown);
  }
}

function tooLong(): LlavaError {
  const sentence = `The answer is longer than ${MAX_TEXT_LENGTH} characters, which is more than the page keeps.`;
  return new LlavaError("request_too_large", sentence);
}

function tooSlow(): LlavaError {
  return new LlavaError(
    "timeout",
    `The answer was not ready after ${MAX_RUN_MS / 60_000} minutes. Ask again.`,
  );
}
