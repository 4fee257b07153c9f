/** A message as the page shows it: what is stored of it, and the answer under way that it may be. */
import { computed, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

import type { Answer } from "./answers.ts";
import type { AnswerState, Message } from "../../services/store/records.ts";

export class MessageNode {
  readonly id: string;
  readonly parentId: string | null;
  readonly createdMs: number;
  readonly message: Signal<Message>;
  /** While it is under way. */
  readonly answer: Signal<Answer | null> = signal(null);
  readonly text: ReadonlySignal<string> = computed(
    // One that was taken up again has said nothing yet here.
    () => this.answer.value?.text.value || this.message.value.text,
  );
  /** Null for a question. */
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
