/**
 * Asks for answers and follows each of them from the question to its end. A chat shows one answer after another, a
 * comparison two side by side.
 */
import type { PageEnd, PageEvent } from "@llava/protocol/browser";
import { signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

import { failureOf, postChat, RequestFailed, stopStream } from "../../services/wire/page-api.ts";
import type { Uploads } from "../../services/wire/uploads.ts";
import { FrameText } from "./frame-text.ts";
import { imageKeys, toBody } from "./chat-request-body.ts";
import type { AnswerState, Failure, Message, Settings } from "../../services/store/records.ts";

export interface AnswerQuestion {
  readonly model: string;
  /** Messages that end in the question, or in an answer that shall be continued. */
  readonly path: readonly Message[];
  readonly settings: Settings;
}

/** Most events that are kept while the id of their answer's stream is still in transit. */
const MAX_EARLY = 4_096;

export class Answer {
  readonly #begun: string;
  readonly #text: FrameText;
  readonly #state: Signal<AnswerState>;
  readonly #migrations: Signal<number> = signal(0);
  readonly #asking = new AbortController();
  /** Id of the answer's stream on the server. */
  stream: string | null = null;

  /** @param begun the text that the answer had before it was continued; @param state its last known state */
  constructor(begun = "", state: AnswerState = { kind: "sending" }) {
    this.#begun = begun;
    this.#text = new FrameText(begun);
    this.#state = signal(state);
  }

  /** The whole text so far, updated at most once a frame. */
  get text(): ReadonlySignal<string> {
    return this.#text.shown;
  }

  get state(): ReadonlySignal<AnswerState> {
    return this.#state;
  }

  /** Number of times that another worker had to continue the answer. */
  get migrations(): ReadonlySignal<number> {
    return this.#migrations;
  }

  get isOver(): boolean {
    return isOver(this.#state.peek());
  }

  stop(): void {
    if (this.isOver) return;
    this.#asking.abort();
    if (this.stream !== null) void stopStream(this.stream);
    this.#end({ kind: "stopped" });
  }

  /** The server has accepted the question and named the stream. */
  named(stream: string): void {
    this.stream = stream;
    if (this.#state.peek().kind === "sending")
      this.#state.value = { kind: "progress", progress: { kind: "sent" } };
  }

  fail(failure: Failure): void {
    this.#end({ kind: "failed", failure });
  }

  take(event: PageEvent): void {
    if (this.isOver) return;
    switch (event.type) {
      case "snapshot":
        this.#text.set(this.#begun + event.text);
        this.#migrations.value = event.migrations;
        if (event.end !== null) return this.#takeEnd(event.end);
        if (event.text !== "") this.#state.value = { kind: "streaming" };
        else if (event.progress !== null) this.#state.value = { kind: "progress", progress: event.progress };
        return;
      case "progress":
        this.#state.value = { kind: "progress", progress: event.progress };
        return;
      case "delta":
        this.#text.add(event.text);
        if (this.#state.peek().kind === "streaming") return;
        // The first text is shown without waiting for a frame.
        this.#text.flush();
        this.#state.value = { kind: "streaming" };
        return;
      case "migrated":
        this.#migrations.value += 1;
        return;
      case "end":
        return this.#takeEnd(event.end);
      case "hello":
      case "models":
      case "cluster":
    }
  }

  #takeEnd(end: PageEnd): void {
    if (end.kind === "failed") this.#end({ kind: "failed", failure: failureOf(end.error) });
    else this.#end(end);
  }

  #end(state: AnswerState): void {
    if (this.isOver) return;
    this.#text.flush();
    this.#state.value = state;
  }

  /** Aborts when the user stops the answer before its stream has an id. */
  get asking(): AbortSignal {
    return this.#asking.signal;
  }
}

export function isOver({ kind }: AnswerState): boolean {
  return kind === "finished" || kind === "stopped" || kind === "failed";
}

/** The answers that the server is generating, by the ids of their streams. */
export class Answers {
  readonly #uploads: Uploads;
  readonly #running = new Map<string, Answer>();
  /** Callbacks that ask again, for answers about images which the server may have removed. */
  readonly #again = new Map<string, () => void>();
  #early: PageEvent[] = [];
  #numAsking = 0;

  constructor(uploads: Uploads) {
    this.#uploads = uploads;
  }

  /** Returns at once; a failure becomes the answer's state. */
  start(question: AnswerQuestion, onNamed: (answer: Answer) => void = () => undefined): Answer {
    const last = question.path.at(-1);
    const answer = new Answer(last?.role === "assistant" ? last.text : "");
    void this.#ask(answer, question, onNamed);
    return answer;
  }

  /**
   * An answer that an earlier visit asked for. @param begun the text from which it was continued; @param state its
   * last known state
   */
  resume(stream: string, begun?: string, state?: AnswerState): Answer {
    const answer = this.#running.get(stream) ?? new Answer(begun, state);
    answer.stream = stream;
    this.#running.set(stream, answer);
    return answer;
  }

  find(stream: string): Answer | undefined {
    return this.#running.get(stream);
  }

  take(event: PageEvent): void {
    if (event.type === "hello") return this.#takeHello(new Set(event.streams));
    if (!("stream" in event)) return;
    const answer = this.#running.get(event.stream);
    if (answer === undefined) {
      if (this.#numAsking > 0 && this.#early.length < MAX_EARLY) this.#early.push(event);
      return;
    }
    const again = this.#again.get(event.stream);
    if (again !== undefined && isMissingImage(event)) {
      this.#drop(event.stream);
      return again();
    }
    answer.take(event);
    if (answer.isOver) this.#drop(event.stream);
  }

  #drop(stream: string): void {
    this.#running.delete(stream);
    this.#again.delete(stream);
  }

  #takeHello(known: ReadonlySet<string>): void {
    for (const [stream, answer] of this.#running) {
      if (known.has(stream)) continue;
      this.#drop(stream);
      answer.fail(lost());
    }
  }

  async #ask(
    answer: Answer,
    question: AnswerQuestion,
    onNamed: (answer: Answer) => void,
    isAgain = false,
  ): Promise<void> {
    this.#numAsking += 1;
    try {
      const { model, path, settings } = question;
      await this.#uploads.ensure(imageKeys(path), answer.asking);
      const stream = await postChat(toBody(model, path, settings), answer.asking);
      answer.named(stream);
      if (answer.isOver) return void stopStream(stream);
      this.#running.set(stream, answer);
      if (!isAgain && imageKeys(path).length > 0)
        this.#again.set(stream, () => {
          this.#uploads.forget();
          void this.#ask(answer, question, onNamed, true);
        });
      onNamed(answer);
    } catch (thrown) {
      if (thrown instanceof RequestFailed) answer.fail(thrown.failure);
      else answer.fail(unexpected(thrown));
    } finally {
      this.#numAsking -= 1;
      const early = this.#early;
      this.#early = [];
      for (const event of early) this.take(event);
    }
  }
}

function isMissingImage(event: PageEvent): boolean {
  return event.type === "end" && event.end.kind === "failed" && event.end.error.code === "blob_missing";
}

function lost(): Failure {
  const message = "The server was started anew and has lost this answer. Ask again.";
  return { code: "worker_lost", message, isRetryable: true, retryAfterMs: null };
}

function unexpected(thrown: unknown): Failure {
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return {
    code: "internal",
    message: `The question could not be sent: ${reason}`,
    isRetryable: true,
    retryAfterMs: null,
  };
}
