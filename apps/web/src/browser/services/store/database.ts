/** Opens the browser's database of conversations, messages, rounds and image files, and converts those of earlier pages. */
import { openDB, unwrap } from "idb";
import type { DBSchema, IDBPDatabase } from "idb";

import { withImages } from "./earlier-records.ts";
import type { Conversation, Message } from "./records.ts";
import type { Round } from "./round.ts";

interface Schema extends DBSchema {
  conversations: { key: string; value: Conversation };
  /** `stream` is null unless an answer is being generated, and IndexedDB leaves null out of an index. */
  messages: { key: string; value: Message; indexes: { conversationId: string; stream: string } };
  images: { key: string; value: Blob };
  rounds: { key: string; value: Round };
}

export type Database = IDBPDatabase<Schema>;

const NAME = "llava";
/** Version 1 named the store of image files, and the images of messages and rounds, `pictures`. */
const VERSION = 2;

export async function openDatabase(): Promise<Database> {
  return await openDB<Schema>(NAME, VERSION, {
    upgrade(database, oldVersion, _newVersion, transaction) {
      if (oldVersion === 1) convertVersion1(unwrap(transaction));
      else createStores(database);
    },
    // A newer version of the page in another tab waits until this connection is closed.
    blocking: (_current, _next, event) => (event.target as IDBDatabase).close(),
  });
}

function createStores(database: Database): void {
  database.createObjectStore("conversations", { keyPath: "id" });
  const messages = database.createObjectStore("messages", { keyPath: "id" });
  messages.createIndex("conversationId", "conversationId");
  messages.createIndex("stream", "stream");
  database.createObjectStore("images");
  database.createObjectStore("rounds", { keyPath: "id" });
}

/** The requests keep the transaction open until all records are converted; an error undoes all of it. */
function convertVersion1(transaction: IDBTransaction): void {
  transaction.objectStore("pictures").name = "images";
  for (const name of ["messages", "rounds"]) {
    const request = transaction.objectStore(name).openCursor();
    request.addEventListener("success", () => {
      const cursor = request.result;
      if (cursor === null) return;
      cursor.update(withImages(cursor.value as Record<string, unknown>));
      cursor.continue();
    });
  }
}
