/**
 * One answer under way, from the question's leaving to its end: asks, takes what the server tells, and says where it stands.
 * Chats show one after the other, comparisons two side by side.
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
  /** Ends in the question, or in an answer that is to go on. */
  readonly path: readonly Message[];
  readonly settings: Settings;
}

/** Those that are sent while the answer's name is still on its way back. */
const MAX_EARLY = 4_096;

export class Answer {
  readonly #begun: string;
  readonly #text: FrameText;
  readonly #state: Signal<AnswerState>;
  readonly #migrations: Signal<number> = signal(0);
  readonly #asking = new AbortController();
  /** Its name on the server. */
  stream: string | null = null;

  /** @param begun what was said of it before it was asked to go on; @param state how it stood when it was last seen */
  constructor(begun = "", state: AnswerState = { kind: "sending" }) {
    this.#begun = begun;
    this.#text = new FrameText(begun);
    this.#state = signal(state);
  }

  /** All that has been said, new at most once a frame. */
  get text(): ReadonlySignal<string> {
    return this.#text.shown;
  }

  get state(): ReadonlySignal<AnswerState> {
    return this.#state;
  }

  /** How often another worker had to go on with it. */
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

  /** The server has it, under this name. */
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
        // The first word waits for no frame.
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

  /** Aborts when somebody stops it before it has a name. */
  get asking(): AbortSignal {
    return this.#asking.signal;
  }
}

export function isOver({ kind }: AnswerState): boolean {
  return kind === "finished" || kind === "stopped" || kind === "failed";
}

/** The answers that the server is at work on, by their names there. */
export class Answers {
  readonly #uploads: Uploads;
  readonly #running = new Map<string, Answer>();
  /** How to ask again, of those that refer to images which the server may have let go. */
  readonly #again = new Map<string, () => void>();
  #early: PageEvent[] = [];
  #numAsking = 0;

  constructor(uploads: Uploads) {
    this.#uploads = uploads;
  }

  /** Returns at once; what goes wrong is the answer's state. */
  start(question: AnswerQuestion, onNamed: (answer: Answer) => void = () => undefined): Answer {
    const last = question.path.at(-1);
    const answer = new Answer(last?.role === "assistant" ? last.text : "");
    void this.#ask(answer, question, onNamed);
    return answer;
  }

  /** One that an earlier visit has asked for, under its name: what it then went on from, and how it stood. */
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
