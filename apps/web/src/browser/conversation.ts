/**
 * The turns of one conversation and the answer that is under way; apart because what is asked, shown and sent again
 * after a failure must be one truth.
 */
import type { ChatMessageBody, ChatTimings, ChatUsage, FinishReason, LlavaError } from "@llava/protocol";
import { computed, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

import { ask } from "./ask.ts";
import type { ParameterValues } from "./parameters.ts";
import type { Picture } from "./picture.ts";

export interface Turn {
  readonly id: number;
  readonly model: string;
  readonly question: string;
  readonly picture: Picture | null;
  readonly answer: Signal<string>;
  readonly progress: Signal<Progress>;
}

export type Progress =
  /** Nothing has come yet. */
  | { readonly kind: "waiting" }
  | { readonly kind: "streaming" }
  | {
      readonly kind: "finished";
      readonly reason: FinishReason;
      readonly usage: ChatUsage | null;
      readonly timings: ChatTimings | null;
    }
  | { readonly kind: "stopped" }
  | { readonly kind: "failed"; readonly error: LlavaError };

export interface Question {
  readonly model: string;
  readonly text: string;
  readonly picture: Picture | null;
  readonly parameters: ParameterValues;
}

/** One answer at a time; a second question waits until the first has ended or was stopped. */
export class Conversation {
  readonly turns: Signal<readonly Turn[]> = signal([]);
  /** The turn whose answer is under way. */
  readonly #current: Signal<Turn | null> = signal(null);
  readonly isAnswering: ReadonlySignal<boolean> = computed(() => this.#current.value !== null);
  #stop = new AbortController();
  #numTurns = 0;

  /** Resolves when the answer has ended, in whatever way; false when another one is under way. */
  async ask(question: Question): Promise<boolean> {
    if (this.isAnswering.value) return false;
    const turn: Turn = {
      id: this.#numTurns++,
      model: question.model,
      question: question.text,
      picture: question.picture,
      answer: signal(""),
      progress: signal<Progress>({ kind: "waiting" }),
    };
    this.turns.value = [...this.turns.value, turn];
    await this.#answer(turn, question.model, question.parameters);
    return true;
  }

  /** Asks the last turn's question again, perhaps of another model; its place in the conversation stays. */
  async retry(model: string, parameters: ParameterValues): Promise<void> {
    const last = this.turns.value.at(-1);
    if (!last || this.isAnswering.value) return;
    const turn: Turn = {
      ...last,
      model,
      answer: signal(""),
      progress: signal<Progress>({ kind: "waiting" }),
    };
    this.turns.value = [...this.turns.value.slice(0, -1), turn];
    await this.#answer(turn, model, parameters);
  }

  stop(): void {
    this.#stop.abort();
  }

  clear(): void {
    this.stop();
    this.#current.value = null;
    this.turns.value = [];
  }

  async #answer(turn: Turn, model: string, parameters: ParameterValues): Promise<void> {
    const stop = new AbortController();
    this.#stop = stop;
    this.#current.value = turn;
    const words = new FrameBuffer(turn.answer);
    const request = { model, messages: toMessages(this.turns.value), ...parameters };
    for await (const event of ask(request, stop.signal)) {
      if (event.type === "text-delta") {
        words.add(event.text);
        if (turn.progress.value.kind === "waiting") turn.progress.value = { kind: "streaming" };
        continue;
      }
      words.flush();
      if (stop.signal.aborted) turn.progress.value = { kind: "stopped" };
      else if (event.type === "error") turn.progress.value = { kind: "failed", error: event.error };
      else turn.progress.value = { ...event, kind: "finished" };
    }
    if (this.#current.value === turn) this.#current.value = null;
  }
}

/**
 * The conversation as the server wants it, oldest first, ending in the last turn's question. Turns without an answer
 * are left out, but never their picture: it goes with the next question.
 */
export function toMessages(turns: readonly Turn[]): readonly ChatMessageBody[] {
  const messages: ChatMessageBody[] = [];
  let pictures: Picture[] = [];
  turns.forEach((turn, index) => {
    const isLast = index === turns.length - 1;
    if (turn.picture) pictures.push(turn.picture);
    if (!isLast && turn.answer.value === "") return;
    messages.push(userMessage(turn.question, pictures));
    pictures = [];
    if (!isLast) messages.push({ role: "assistant", content: turn.answer.value });
  });
  return messages;
}

function userMessage(text: string, pictures: readonly Picture[]): ChatMessageBody {
  if (pictures.length === 0) return { role: "user", content: text };
  const images = pictures.map(({ url }) => ({ type: "image_url", image_url: { url } }) as const);
  return { role: "user", content: [...images, { type: "text", text }] };
}

/** Collects words and shows them once per frame, however fast they come. */
class FrameBuffer {
  readonly #shown: Signal<string>;
  #waiting = "";
  #frame = 0;

  constructor(shown: Signal<string>) {
    this.#shown = shown;
  }

  add(text: string): void {
    this.#waiting += text;
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.flush());
  }

  flush(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.#waiting !== "") this.#shown.value += this.#waiting;
    this.#waiting = "";
  }
}
