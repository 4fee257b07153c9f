/**
 * What the page remembers, in the browser's database and before it in memory: where the database is full, forbidden or
 * broken, the page goes on and says that it will forget.
 */
import { signal } from "@preact/signals";
import type { Signal } from "@preact/signals";

import type { Conversation, Message } from "../chat/types.ts";
import type { Round } from "../compare/round.ts";
import { openDatabase } from "./database.ts";
import { draftedKeys, writeDraft } from "./drafts.ts";
import type { Database } from "./database.ts";

/** Other tabs are told which conversation has changed. */
const CHANNEL = "llava";
const NOT_STORED =
  "This browser keeps nothing more for this page: its storage is full or forbidden. Export what you need, or delete old conversations.";

export interface Changed {
  readonly conversationId: string;
}

export class Store {
  /** A sentence, once something could not be written. */
  readonly problem: Signal<string | null> = signal(null);
  readonly #database: Promise<Database | null>;
  readonly #channel = new BroadcastChannel(CHANNEL);
  /** Pictures of this visit that could not be written. */
  readonly #unwritten = new Map<string, Blob>();

  constructor() {
    this.#database = openDatabase().catch(() => {
      this.problem.value = NOT_STORED;
      return null;
    });
  }

  /** Calls back when another tab has changed something. */
  onChange(take: (changed: Changed) => void): void {
    this.#channel.addEventListener("message", ({ data }) => take(data as Changed));
  }

  async conversations(): Promise<readonly Conversation[]> {
    return (await this.#read((database) => database.getAll("conversations"))) ?? [];
  }

  async messages(conversationId: string): Promise<readonly Message[]> {
    return (
      (await this.#read((database) =>
        database.getAllFromIndex("messages", "conversationId", conversationId),
      )) ?? []
    );
  }

  async allMessages(): Promise<readonly Message[]> {
    return (await this.#read((database) => database.getAll("messages"))) ?? [];
  }

  /** Answers that were under way when they were last written. */
  async unfinished(): Promise<readonly Message[]> {
    return (await this.#read((database) => database.getAllFromIndex("messages", "stream"))) ?? [];
  }

  async rounds(): Promise<readonly Round[]> {
    return (await this.#read((database) => database.getAll("rounds"))) ?? [];
  }

  async picture(key: string): Promise<Blob | null> {
    return (
      (await this.#read((database) => database.get("pictures", key))) ?? this.#unwritten.get(key) ?? null
    );
  }

  async putConversation(conversation: Conversation): Promise<void> {
    await this.#write((database) => database.put("conversations", conversation));
    this.#tell(conversation.id);
  }

  async putMessage(message: Message): Promise<void> {
    await this.#write((database) => database.put("messages", message));
  }

  async putRound(round: Round): Promise<void> {
    await this.#write((database) => database.put("rounds", round));
  }

  async putPicture(key: string, blob: Blob): Promise<void> {
    const isWritten = await this.#write((database) => database.put("pictures", blob, key));
    if (!isWritten) this.#unwritten.set(key, blob);
  }

  async deleteMessages(conversationId: string, ids: readonly string[]): Promise<void> {
    await this.#write(async (database) => {
      const transaction = database.transaction("messages", "readwrite");
      await Promise.all([...ids.map((id) => transaction.store.delete(id)), transaction.done]);
    });
    this.#tell(conversationId);
  }

  /** With its messages; pictures that no message shows any more go too. */
  async deleteConversation(id: string): Promise<void> {
    writeDraft(id, { text: "", pictures: [] });
    await this.#write(async (database) => {
      const names = ["conversations", "messages", "pictures", "rounds"] as const;
      const transaction = database.transaction(names, "readwrite");
      await transaction.objectStore("conversations").delete(id);
      const messages = await transaction.objectStore("messages").getAll();
      const used = new Set(draftedKeys());
      for (const message of messages) {
        if (message.conversationId === id) await transaction.objectStore("messages").delete(message.id);
        else if (message.role === "user") for (const { key } of message.pictures) used.add(key);
      }
      for (const { pictures } of await transaction.objectStore("rounds").getAll())
        for (const { key } of pictures) used.add(key);
      for (const key of await transaction.objectStore("pictures").getAllKeys())
        if (!used.has(key)) await transaction.objectStore("pictures").delete(key);
      await transaction.done;
    });
    this.#tell(id);
  }

  /** Bytes that this page takes up in the browser; null where it does not say. */
  async usage(): Promise<number | null> {
    const estimate = await navigator.storage?.estimate().catch(() => null);
    return estimate?.usage ?? null;
  }

  #tell(conversationId: string): void {
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

  /** Whether it was written. */
  async #write(write: (database: Database) => Promise<unknown>): Promise<boolean> {
    try {
      const database = await this.#database;
      if (database === null) return false;
      await write(database);
      this.problem.value = null;
      return true;
    } catch {
      this.problem.value = NOT_STORED;
      return false;
    }
  }
}
