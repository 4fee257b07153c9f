/**
 * Writes answers to the store while they grow, whichever conversation is shown. A tab that crashes loses at most a
 * second of text, and the server sends the rest again.
 */
import { batch, effect } from "@preact/signals";

import type { Store } from "../../services/store/store.ts";
import { isOver } from "./answers.ts";
import type { Answer, Answers } from "./answers.ts";
import { MessageNode } from "./message-node.ts";
import type { AssistantMessage } from "../../services/store/records.ts";

const WRITE_MS = 1_000;

export class AnswerPersistence {
  readonly #store: Store;
  readonly #running = new Map<string, MessageNode>();
  /** Called when an answer has ended in any way. */
  onEnd: (node: MessageNode) => void = () => undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The node of an answer that is being generated; every view of it shares the node. */
  find(id: string): MessageNode | undefined {
    return this.#running.get(id);
  }

  /** Resumes the answers that an earlier visit asked for. */
  async resume(answers: Answers): Promise<void> {
    for (const message of await this.#store.unfinished()) {
      if (message.role !== "assistant" || message.stream === null || this.#running.has(message.id)) continue;
      const { stream, begun, state } = message;
      this.follow(new MessageNode(message), answers.resume(stream, begun, state));
    }
  }

  /** @param node the assistant message that the answer fills */
  follow(node: MessageNode, answer: Answer): void {
    this.#running.set(node.id, node);
    node.answer.value = answer;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = effect(() => {
      const state = answer.state.value;
      void answer.text.value;
      if (isOver(state)) {
        clearTimeout(timer);
        // An effect cannot dispose of itself while it runs.
        queueMicrotask(() => {
          stop();
          this.#finish(node, answer);
        });
        return;
      }
      timer ??= setTimeout(() => {
        timer = undefined;
        void this.write(node, answer);
      }, WRITE_MS);
    });
  }

  async write(node: MessageNode, answer: Answer): Promise<void> {
    const message = node.message.peek();
    if (message.role !== "assistant" || answer.isOver) return;
    await this.#store.putMessage(current(message, answer));
  }

  #finish(node: MessageNode, answer: Answer): void {
    const message = node.message.peek();
    this.#running.delete(node.id);
    if (message.role !== "assistant") return;
    const finished = { ...current(message, answer), stream: null };
    batch(() => {
      node.message.value = finished;
      node.answer.value = null;
    });
    void this.#store.putMessage(finished);
    this.onEnd(node);
  }
}

function current(message: AssistantMessage, { text, state, migrations, stream }: Answer): AssistantMessage {
  return {
    ...message,
    // A resumed answer has no text before its first event, and the stored text must not be lost.
    text: text.peek().length <= (message.begun?.length ?? 0) ? message.text : text.peek(),
    state: state.peek(),
    migrations: migrations.peek(),
    stream,
  };
}
