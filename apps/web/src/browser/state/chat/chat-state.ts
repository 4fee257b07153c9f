/**
 * Holds the open conversation: the path through its tree that is shown, and the actions on it. A question is stored
 * before it is sent.
 */
import { batch, computed, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

import type { Store } from "../../services/store/store.ts";
import { postVote } from "../../services/wire/page-api.ts";
import type { Answers } from "./answers.ts";
import { isOver } from "./answers.ts";
import type { Conversations } from "./conversations.ts";
import type { AnswerPersistence } from "./answer-persistence.ts";
import { MessageNode } from "./message-node.ts";
import { newId } from "./new-id.ts";
import { DEFAULT_SETTINGS } from "../../services/store/answer-settings.ts";
import { newestLeaf, pathTo, versionsOf, withDescendants } from "./message-tree.ts";
import type {
  AssistantMessage,
  Conversation,
  Message,
  ImageRef,
  Settings,
  UserMessage,
} from "../../services/store/records.ts";

export interface ShownMessage {
  readonly node: MessageNode;
  /** Index of this message among its versions, from 0. */
  readonly version: number;
  readonly numVersions: number;
}

interface Parts {
  readonly store: Store;
  readonly answers: Answers;
  readonly persistence: AnswerPersistence;
  readonly conversations: Conversations;
}

export class Chat {
  readonly #parts: Parts;
  readonly #id: Signal<string | null> = signal(null);
  readonly #nodes: Signal<ReadonlyMap<string, MessageNode>> = signal(new Map());
  /** Settings of the next new conversation. */
  readonly #nextSettings: Signal<Settings> = signal(DEFAULT_SETTINGS);

  readonly conversation: ReadonlySignal<Conversation | null> = computed(
    () => this.#parts.conversations.find(this.#id.value) ?? null,
  );
  readonly settings: ReadonlySignal<Settings> = computed(
    () => this.conversation.value?.settings ?? this.#nextSettings.value,
  );
  readonly path: ReadonlySignal<readonly ShownMessage[]> = computed(() => {
    const nodes = this.#nodes.value;
    return pathTo(nodes, this.conversation.value?.leafId ?? null).map((node) => {
      const versions = versionsOf(nodes, node);
      return { node, version: versions.indexOf(node), numVersions: versions.length };
    });
  });
  /** The last answer while it is being generated. */
  readonly running: ReadonlySignal<MessageNode | null> = computed(() => {
    const last = this.path.value.at(-1)?.node;
    const state = last?.state.value ?? null;
    return last !== undefined && state !== null && !isOver(state) ? last : null;
  });

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Opens a conversation; null opens a new one. Resolves to false when there is no such conversation. */
  async open(id: string | null): Promise<boolean> {
    if (id !== null && this.#parts.conversations.find(id) === undefined) return false;
    const messages = id === null ? [] : await this.#parts.store.messages(id);
    batch(() => {
      this.#id.value = id;
      this.#nodes.value = new Map(messages.map((message) => [message.id, this.#nodeOf(message)]));
    });
    return true;
  }

  /** Adds the messages that another tab has written. */
  async reload(): Promise<void> {
    const id = this.#id.peek();
    if (id === null) return;
    if (this.#parts.conversations.find(id) === undefined) return void (await this.open(null));
    const messages = await this.#parts.store.messages(id);
    await this.#parts.persistence.resume(this.#parts.answers);
    if (this.#id.peek() !== id) return;
    const nodes = new Map(this.#nodes.peek());
    for (const message of messages) if (!nodes.has(message.id)) nodes.set(message.id, this.#nodeOf(message));
    this.#nodes.value = nodes;
  }

  setSettings(settings: Settings): void {
    const conversation = this.conversation.peek();
    if (conversation === null) this.#nextSettings.value = settings;
    else void this.#parts.conversations.put({ ...conversation, settings });
  }

  /** Asks a question after the last message. */
  async ask(model: string, text: string, images: readonly ImageRef[]): Promise<void> {
    const conversation = this.conversation.peek() ?? this.#create(text, model);
    await this.#askAt(conversation, model, conversation.leafId, text, images);
  }

  /** Asks another question in place of one: a branch beside the first. */
  async edit(id: string, model: string, text: string, images: readonly ImageRef[]): Promise<void> {
    const conversation = this.conversation.peek();
    const node = this.#nodes.peek().get(id);
    if (conversation === null || node === undefined) return;
    this.stop();
    await this.#askAt(conversation, model, node.parentId, text, images);
  }

  /** Generates another version of an answer. */
  async regenerate(id: string, model: string): Promise<void> {
    const conversation = this.conversation.peek();
    const node = this.#nodes.peek().get(id);
    if (conversation === null || node === undefined || node.parentId === null) return;
    this.stop();
    await this.#answer(conversation, model, node.parentId);
    // An answer without text is not kept as a version.
    if (node.text.peek() !== "") return;
    const nodes = new Map(this.#nodes.peek());
    nodes.delete(id);
    this.#nodes.value = nodes;
    await this.#parts.store.deleteMessages(conversation.id, [id]);
  }

  /** Continues an answer that reached its longest length, was stopped, or failed. */
  async continueAnswer(id: string): Promise<void> {
    const { answers, persistence, store } = this.#parts;
    const node = this.#nodes.peek().get(id);
    const message = node?.message.peek();
    if (node === undefined || message?.role !== "assistant" || node.text.peek() === "") return;
    this.stop();
    const settings = this.settings.peek();
    const begun = node.text.peek();
    const next = { ...message, settings, begun, state: { kind: "sending" }, stream: null } as const;
    node.message.value = next;
    await store.putMessage(next);
    const question = { model: message.model, path: this.messagesTo(id), settings };
    persistence.follow(
      node,
      answers.start(question, (named) => void persistence.write(node, named)),
    );
  }

  stop(): void {
    this.running.peek()?.answer.peek()?.stop();
  }

  /** @param step -1 for the version before, 1 for the one after */
  showVersion(id: string, step: -1 | 1): void {
    const conversation = this.conversation.peek();
    const nodes = this.#nodes.peek();
    const node = nodes.get(id);
    if (conversation === null || node === undefined) return;
    const versions = versionsOf(nodes, node);
    const next = versions[versions.indexOf(node) + step];
    if (next === undefined) return;
    void this.#parts.conversations.put({ ...conversation, leafId: newestLeaf(nodes, next.id) });
  }

  /** Removes a message and all that follow from it. Returns a function that restores them. */
  async remove(id: string): Promise<() => Promise<void>> {
    const conversation = this.conversation.peek();
    const before = this.#nodes.peek();
    const node = before.get(id);
    if (conversation === null || node === undefined) return async () => undefined;
    this.stop();
    const ids = withDescendants(before, id);
    const nodes = new Map(before);
    for (const gone of ids) nodes.delete(gone);
    const sibling = versionsOf(nodes, node).at(-1);
    const leafId = sibling === undefined ? node.parentId : newestLeaf(nodes, sibling.id);
    const removed = ids.flatMap((gone) => before.get(gone)?.message.peek() ?? []);
    this.#nodes.value = nodes;
    await this.#parts.conversations.put({ ...conversation, leafId });
    await this.#parts.store.deleteMessages(conversation.id, ids);
    return async () => {
      for (const message of removed) await this.#parts.store.putMessage(message);
      const now = this.#parts.conversations.find(conversation.id);
      if (now !== undefined) await this.#parts.conversations.put({ ...now, leafId: conversation.leafId });
      if (this.#id.peek() === conversation.id) await this.open(conversation.id);
    };
  }

  /** Stores a judgement and sends it to the server. The same thumb again removes it in this browser. */
  async judge(id: string, judgement: "up" | "down" | "flag"): Promise<void> {
    const node = this.#nodes.peek().get(id);
    const message = node?.message.peek();
    if (node === undefined || message?.role !== "assistant") return;
    const next: AssistantMessage =
      judgement === "flag"
        ? { ...message, isFlagged: true }
        : { ...message, vote: message.vote === judgement ? null : judgement };
    node.message.value = next;
    await this.#parts.store.putMessage(next);
    if (judgement !== "flag" && next.vote === null) return;
    const type = { up: "upvote", down: "downvote", flag: "flag" } as const;
    const conversation = this.messagesTo(id).map((each) => ({
      role: each.role,
      text: each.text,
      images: each.role === "user" ? each.images.map(({ key }) => key) : [],
    }));
    await postVote({ type: type[judgement], models: [message.model], conversations: [conversation] });
  }

  /** The messages from the first one to this one. */
  messagesTo(id: string): readonly Message[] {
    return pathTo(this.#nodes.peek(), id).map(({ message, text }) => ({
      ...message.peek(),
      text: text.peek(),
    }));
  }

  #create(text: string, model: string): Conversation {
    const now = Date.now();
    const conversation: Conversation = {
      id: newId(),
      title: titleOf(text),
      hasOwnTitle: false,
      createdMs: now,
      updatedMs: now,
      leafId: null,
      model,
      settings: this.#nextSettings.peek(),
    };
    batch(() => {
      this.#parts.conversations.add(conversation);
      this.#id.value = conversation.id;
      this.#nodes.value = new Map();
    });
    return conversation;
  }

  async #askAt(
    conversation: Conversation,
    model: string,
    parentId: string | null,
    text: string,
    images: readonly ImageRef[],
  ): Promise<void> {
    const question: UserMessage = {
      role: "user",
      id: newId(),
      conversationId: conversation.id,
      parentId,
      createdMs: this.#nextMs(),
      text,
      images,
    };
    this.#add(new MessageNode(question));
    await this.#parts.store.putMessage(question);
    await this.#answer(conversation, model, question.id);
  }

  async #answer(conversation: Conversation, model: string, parentId: string): Promise<void> {
    const { answers, persistence, store, conversations } = this.#parts;
    const message: AssistantMessage = {
      role: "assistant",
      id: newId(),
      conversationId: conversation.id,
      parentId,
      createdMs: this.#nextMs(),
      text: "",
      model,
      settings: conversation.settings,
      state: { kind: "sending" },
      stream: null,
      migrations: 0,
      vote: null,
      isFlagged: false,
    };
    const node = new MessageNode(message);
    const settings = conversations.find(conversation.id)?.settings ?? conversation.settings;
    const path = this.messagesTo(parentId);
    batch(() => {
      this.#add(node);
      void conversations.put({ ...conversation, model, leafId: message.id, updatedMs: Date.now() });
    });
    await store.putMessage(message);
    const answer = answers.start({ model, path, settings }, (named) => void persistence.write(node, named));
    persistence.follow(node, answer);
  }

  /** Versions are ordered by time, and two messages may be created within a millisecond. */
  #nextMs(): number {
    const last = Math.max(0, ...[...this.#nodes.peek().values()].map(({ createdMs }) => createdMs));
    return Math.max(Date.now(), last + 1);
  }

  #add(node: MessageNode): void {
    this.#nodes.value = new Map(this.#nodes.peek()).set(node.id, node);
  }

  #nodeOf(message: Message): MessageNode {
    return this.#parts.persistence.find(message.id) ?? new MessageNode(settled(message));
  }
}

/** An answer whose stream got no id before the page ended is stopped, so that the user can ask again. */
function settled(message: Message): Message {
  if (message.role !== "assistant" || isOver(message.state) || message.stream !== null) return message;
  return { ...message, state: { kind: "stopped" } };
}

const MAX_TITLE = 60;

function titleOf(text: string): string {
  const line = text.trim().split("\n")[0] ?? "";
  return line.length <= MAX_TITLE ? line : `${line.slice(0, MAX_TITLE).trimEnd()}…`;
}
