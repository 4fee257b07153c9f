/** Reads and writes the browser's database without the page's own code. */
import type { Page } from "playwright-core";

interface StoredMessage {
  readonly id: string;
  readonly role: string;
  readonly text: string;
}

export interface Stored {
  readonly conversations: readonly unknown[];
  /** In the order of their times. */
  readonly messages: readonly StoredMessage[];
  /** Key, type and size in bytes of each image file. */
  readonly images: readonly (readonly [string, string, number])[];
}

export async function readStored(page: Page): Promise<Stored> {
  return await page.evaluate<Stored>(`(async () => {
    const whole = (request) => new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const database = await whole(indexedDB.open("llava"));
    const all = (name) => whole(database.transaction(name).objectStore(name).getAll());
    const keys = await whole(database.transaction("images").objectStore("images").getAllKeys());
    const blobs = await all("images");
    const conversations = await all("conversations");
    const messages = await all("messages");
    database.close();
    return {
      conversations: conversations.sort((a, b) => a.createdMs - b.createdMs),
      messages: messages.sort((a, b) => a.createdMs - b.createdMs),
      images: keys.map((key, index) => [key, blobs[index].type, blobs[index].size]),
    };
  })()`);
}

/** Deletes the page's database, as a user does who clears the browser's data of this page. */
export async function wipe(page: Page): Promise<void> {
  await page.evaluate(`new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase("llava");
    request.onsuccess = resolve;
    request.onerror = () => reject(request.error);
  })`);
}

/** Creates the database as version 1 of the page did, with the content of a file that this version exported, and a draft. */
export async function writeVersion1(page: Page, exported: string): Promise<void> {
  await page.evaluate(`(async () => {
    const { conversations, messages, pictures } = ${exported};
    const request = indexedDB.open("llava", 1);
    request.onupgradeneeded = () => {
      const database = request.result;
      database.createObjectStore("conversations", { keyPath: "id" });
      const messages = database.createObjectStore("messages", { keyPath: "id" });
      messages.createIndex("conversationId", "conversationId");
      messages.createIndex("stream", "stream");
      database.createObjectStore("pictures");
      database.createObjectStore("rounds", { keyPath: "id" });
    };
    const database = await new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const names = ["conversations", "messages", "pictures", "rounds"];
    const transaction = database.transaction(names, "readwrite");
    const put = (name, value, key) => transaction.objectStore(name).put(value, key);
    for (const conversation of conversations) put("conversations", conversation);
    for (const message of messages) put("messages", message);
    const bytes = (url) => Uint8Array.from(atob(url.split(",")[1]), (character) => character.charCodeAt(0));
    for (const [key, url] of Object.entries(pictures)) put("pictures", new Blob([bytes(url)], { type: "image/png" }), key);
    const [question, answer] = messages;
    const { model, settings, text, state } = answer;
    const side = { model, settings, text, state, stream: null, migrations: 0 };
    const round = { id: "r1", createdMs: 1, isBlind: false, text: "A round?", vote: null, sides: [side, side] };
    put("rounds", { ...round, pictures: question.pictures });
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    database.close();
    localStorage.setItem("llava.draft.", JSON.stringify({ text: "Typed before", pictures: question.pictures }));
  })()`);
}
