/** Holds all conversations of this browser, newest first, and the ones among them that match a search. */
import { computed, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

import type { Store } from "../../services/store/store.ts";
import type { Conversation } from "../../services/store/records.ts";

export class Conversations {
  readonly #store: Store;
  readonly #all: Signal<ReadonlyMap<string, Conversation>> = signal(new Map());
  readonly query: Signal<string> = signal("");
  /** Ids of the conversations whose messages match; null without a search. */
  readonly #found: Signal<ReadonlySet<string> | null> = signal(null);
  /** The conversations that contain every word of the query. */
  readonly shown: ReadonlySignal<readonly Conversation[]> = computed(() => {
    const found = this.#found.value;
    return [...this.#all.value.values()]
      .filter(({ id }) => found === null || found.has(id))
      .toSorted((a, b) => b.updatedMs - a.updatedMs);
  });

  constructor(store: Store) {
    this.#store = store;
  }

  get number(): number {
    return this.#all.value.size;
  }

  find(id: string | null): Conversation | undefined {
    return id === null ? undefined : this.#all.value.get(id);
  }

  async load(): Promise<void> {
    const all = await this.#store.conversations();
    this.#all.value = new Map(all.map((conversation) => [conversation.id, conversation]));
  }

  add(conversation: Conversation): void {
    this.#all.value = new Map(this.#all.value).set(conversation.id, conversation);
  }

  async put(conversation: Conversation): Promise<void> {
    this.add(conversation);
    await this.#store.putConversation(conversation);
  }

  async rename(id: string, title: string): Promise<void> {
    const conversation = this.find(id);
    if (conversation !== undefined && title.trim() !== "")
      await this.put({ ...conversation, title: title.trim(), hasOwnTitle: true });
  }

  /**
   * Removes a conversation from the list at once, and from the database when `forget` is called; `undo` brings it
   * back.
   */
  hide(id: string): { readonly forget: () => Promise<void>; readonly undo: () => void } {
    const conversation = this.find(id);
    const rest = new Map(this.#all.value);
    rest.delete(id);
    this.#all.value = rest;
    return {
      forget: async () => await this.#store.deleteConversation(id),
      undo: () => conversation && this.add(conversation),
    };
  }

  async search(query: string): Promise<void> {
    this.query.value = query;
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length === 0) {
      this.#found.value = null;
      return;
    }
    const texts = new Map([...this.#all.value.values()].map(({ id, title }) => [id, title]));
    for (const { conversationId, text } of await this.#store.allMessages())
      texts.set(conversationId, `${texts.get(conversationId) ?? ""}\n${text}`);
    if (this.query.value !== query) return;
    const found = [...texts].filter(([, text]) => words.every((word) => text.toLowerCase().includes(word)));
    this.#found.value = new Set(found.map(([id]) => id));
  }
}
