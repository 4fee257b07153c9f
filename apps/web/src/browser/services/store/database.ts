/** The browser's database: conversations, their messages, pictures as files. Apart because its shape outlives the page. */
import { openDB } from "idb";
import type { DBSchema, IDBPDatabase } from "idb";

import type { Conversation, Message } from "./records.ts";
import type { Round } from "./round.ts";

interface Schema extends DBSchema {
  conversations: { key: string; value: Conversation };
  /** `stream` is null but while an answer is under way, and null is in no index. */
  messages: { key: string; value: Message; indexes: { conversationId: string; stream: string } };
  pictures: { key: string; value: Blob };
  rounds: { key: string; value: Round };
}

export type Database = IDBPDatabase<Schema>;

const NAME = "llava";
const VERSION = 1;

export async function openDatabase(): Promise<Database> {
  return await openDB<Schema>(NAME, VERSION, {
    upgrade(database) {
      database.createObjectStore("conversations", { keyPath: "id" });
      const messages = database.createObjectStore("messages", { keyPath: "id" });
      messages.createIndex("conversationId", "conversationId");
      messages.createIndex("stream", "stream");
      database.createObjectStore("pictures");
      database.createObjectStore("rounds", { keyPath: "id" });
    },
    // A newer page in another tab goes first.
    blocking: (_current, _next, event) => (event.target as IDBDatabase).close(),
  });
}
