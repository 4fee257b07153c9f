/** Joins a stored message with the running answer that fills it, for the views. */
import { computed, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

import type { Answer } from "./answers.ts";
import type { AnswerState, Message } from "../../services/store/records.ts";

export class MessageNode {
  readonly id: string;
  readonly parentId: string | null;
  readonly createdMs: number;
  readonly message: Signal<Message>;
  /** The running answer; null when the message is complete. */
  readonly answer: Signal<Answer | null> = signal(null);
  readonly text: ReadonlySignal<string> = computed(
    // A resumed answer has no text before its first event.
    () => this.answer.value?.text.value || this.message.value.text,
  );
  /** State of an answer; null for a question. */
  readonly state: ReadonlySignal<AnswerState | null> = computed(() => {
    const message = this.message.value;
    return this.answer.value?.state.value ?? (message.role === "assistant" ? message.state : null);
  });

  constructor(message: Message) {
    this.id = message.id;
    this.parentId = message.parentId;
    this.createdMs = message.createdMs;
    this.message = signal(message);
  }
}
