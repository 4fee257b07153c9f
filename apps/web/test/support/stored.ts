/** What lies in the browser's database, read past the page's own code. */
import type { Page } from "playwright-core";

interface StoredMessage {
  readonly id: string;
  readonly role: string;
  readonly text: string;
}

export interface Stored {
  readonly conversations: readonly unknown[];
  /** By their time. */
  readonly messages: readonly StoredMessage[];
  /** Of the pictures: key, type and size of the file. */
  readonly pictures: readonly (readonly [string, string, number])[];
}

export async function readStored(page: Page): Promise<Stored> {
  return await page.evaluate<Stored>(`(async () => {
    const whole = (request) => new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const database = await whole(indexedDB.open("llava"));
    const all = (name) => whole(database.transaction(name).objectStore(name).getAll());
    const keys = await whole(database.transaction("pictures").objectStore("pictures").getAllKeys());
    const blobs = await all("pictures");
    const conversations = await all("conversations");
    const messages = await all("messages");
    database.close();
    return {
      conversations: conversations.sort((a, b) => a.createdMs - b.createdMs),
      messages: messages.sort((a, b) => a.createdMs - b.createdMs),
      pictures: keys.map((key, index) => [key, blobs[index].type, blobs[index].size]),
    };
  })()`);
}

/** As somebody does who clears the browser's data of this page. */
export async function wipe(page: Page): Promise<void> {
  await page.evaluate(`new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase("llava");
    request.onsuccess = resolve;
    request.onerror = () => reject(request.error);
  })`);
}
