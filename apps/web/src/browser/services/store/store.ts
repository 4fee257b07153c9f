/**
 * Reads and writes the page's records in the browser's database. Where the database is full, forbidden or broken, records
 * stay in memory, the page works on, and `problem` says that they are not stored.
 */
import { signal } from "@preact/signals";
import type { Signal } from "@preact/signals";

import type { Conversation, Message } from "./records.ts";
import type { Round } from "./round.ts";
import { openDatabase } from "./database.ts";
import { draftedKeys, writeDraft } from "./drafts.ts";
import type { Database } from "./database.ts";
import { TEXTS } from "../../ui/texts.ts";
import { Unwritten, withUnwritten } from "./unwritten.ts";

/** Name of the broadcast channel on which the tabs of one browser announce changed conversations. */
const CHANNEL = "llava";

export interface Changed {
  readonly conversationId: string;
}

export class Store {
  /** A sentence for the user when something could not be written; null otherwise. */
  readonly problem: Signal<string | null> = signal(null);
  readonly #database: Promise<Database | null>;
  readonly #channel = new BroadcastChannel(CHANNEL);
  readonly #unwritten = new Unwritten();

  constructor() {
    this.#database = openDatabase().catch(() => {
      this.problem.value = TEXTS.shell.notStored;
      return null;
    });
  }

  /** Whether records are in memory only and would be lost with the page. */
  get hasUnwritten(): boolean {
    return !this.#unwritten.isEmpty;
  }

  /** Calls back when another tab has changed a conversation. */
  onChange(take: (changed: Changed) => void): void {
    this.#channel.addEventListener("message", ({ data }) => take(data as Changed));
  }

  async conversations(): Promise<readonly Conversation[]> {
    const stored = await this.#read((database) => database.getAll("conversations"));
    return withUnwritten(stored, this.#unwritten.conversations);
  }

  async messages(conversationId: string): Promise<readonly Message[]> {
    const stored = await this.#read((database) =>
      database.getAllFromIndex("messages", "conversationId", conversationId),
    );
    const all = withUnwritten(stored, this.#unwritten.messages);
    return all.filter((message) => message.conversationId === conversationId);
  }

  async allMessages(): Promise<readonly Message[]> {
    const stored = await this.#read((database) => database.getAll("messages"));
    return withUnwritten(stored, this.#unwritten.messages);
  }

  /** Answers that were being generated when they were last written. */
  async unfinished(): Promise<readonly Message[]> {
    const stored = await this.#read((database) => database.getAllFromIndex("messages", "stream"));
    return withUnwritten(stored, this.#unwritten.messages).filter(
      (message) => message.role === "assistant" && message.stream !== null,
    );
  }

  async rounds(): Promise<readonly Round[]> {
    const stored = await this.#read((database) => database.getAll("rounds"));
    return withUnwritten(stored, this.#unwritten.rounds);
  }

  async image(key: string): Promise<Blob | null> {
    const unwritten = this.#unwritten.images.get(key);
    return unwritten ?? (await this.#read((database) => database.get("images", key))) ?? null;
  }

  async putConversation(conversation: Conversation): Promise<void> {
    const { conversations } = this.#unwritten;
    await this.#put(conversations, conversation.id, conversation, (database) =>
      database.put("conversations", conversation),
    );
    this.#announce(conversation.id);
  }

  async putMessage(message: Message): Promise<void> {
    const { messages } = this.#unwritten;
    await this.#put(messages, message.id, message, (database) => database.put("messages", message));
  }

  async putRound(round: Round): Promise<void> {
    await this.#put(this.#unwritten.rounds, round.id, round, (database) => database.put("rounds", round));
  }

  async putImage(key: string, blob: Blob): Promise<void> {
    await this.#put(this.#unwritten.images, key, blob, (database) => database.put("images", blob, key));
  }

  async deleteMessages(conversationId: string, ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#unwritten.messages.delete(id);
    await this.#delete(async (database) => {
      const transaction = database.transaction("messages", "readwrite");
      await Promise.all([...ids.map((id) => transaction.store.delete(id)), transaction.done]);
    });
    this.#announce(conversationId);
  }

  /** Deletes a conversation, its messages, and the images that no message, round or draft refers to any more. */
  async deleteConversation(id: string): Promise<void> {
    writeDraft(id, { text: "", images: [] });
    this.#unwritten.delete(id);
    await this.#delete(async (database) => {
      const names = ["conversations", "messages", "images", "rounds"] as const;
      const transaction = database.transaction(names, "readwrite");
      await transaction.objectStore("conversations").delete(id);
      const messages = await transaction.objectStore("messages").getAll();
      const used = new Set(draftedKeys());
      for (const message of messages) {
        if (message.conversationId === id) await transaction.objectStore("messages").delete(message.id);
        else if (message.role === "user") for (const { key } of message.images) used.add(key);
      }
      for (const { images } of await transaction.objectStore("rounds").getAll())
        for (const { key } of images) used.add(key);
      for (const key of await transaction.objectStore("images").getAllKeys())
        if (!used.has(key)) await transaction.objectStore("images").delete(key);
      await transaction.done;
    });
    this.#announce(id);
  }

  /** Number of bytes that the browser stores for this page; null where the browser does not say. */
  async usage(): Promise<number | null> {
    const estimate = await navigator.storage?.estimate().catch(() => null);
    return estimate?.usage ?? null;
  }

  #announce(conversationId: string): void {
    this.#channel.postMessage({ conversationId } satisfies Changed);
  }

  async #read<T>(read: (database: Database) => Promise<T>): Promise<T | undefined> {
    try {
      const database = await this.#database;
      return database === null ? undefined : await read(database);
    } catch {
      return undefined;
    }
  }

  /** A value that cannot be written stays in memory. */
  async #put<Value>(
    unwritten: Map<string, Value>,
    key: string,
    value: Value,
    write: (database: Database) => Promise<unknown>,
  ): Promise<void> {
    if (await this.#write(write)) unwritten.delete(key);
    else unwritten.set(key, value);
    this.#updateProblem();
  }

  /** Writes the values in memory afterwards, for which there may be room now. */
  async #delete(write: (database: Database) => Promise<unknown>): Promise<void> {
    if ((await this.#write(write)) && !this.#unwritten.isEmpty)
      await this.#write((database) => this.#unwritten.writeTo(database));
    this.#updateProblem();
  }

  #updateProblem(): void {
    this.problem.value = this.#unwritten.isEmpty ? null : TEXTS.shell.notStored;
  }

  /** Resolves to whether the write succeeded. */
  async #write(write: (database: Database) => Promise<unknown>): Promise<boolean> {
    try {
      const database = await this.#database;
      if (database === null) return false;
      await write(database);
      return true;
    } catch {
      return false;
    }
  }
}
