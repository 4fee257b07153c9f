/** Conversations out of the browser's database into a file, and back. Loaded when somebody wants it. */
import type { Message } from "../../services/store/records.ts";
import { sha256Hex } from "../../images/worker/sha256.ts";
import type { Store } from "../../services/store/store.ts";
import { readTransfer, TransferError, writeTransfer } from "./conversation-file.ts";

const MAX_FILE_BYTES = 512 << 20;

/** Everything, pictures included. */
export async function exportAll(store: Store): Promise<Blob> {
  const [conversations, messages] = await Promise.all([store.conversations(), store.allMessages()]);
  const keys = new Set(
    messages.flatMap((message) => (message.role === "user" ? message.pictures.map(({ key }) => key) : [])),
  );
  const pictures: Record<string, string> = {};
  for (const key of keys) {
    const blob = await store.picture(key);
    if (blob !== null) pictures[key] = await dataUrl(blob);
  }
  return new Blob([writeTransfer({ conversations, messages, pictures })], { type: "application/json" });
}

/** How many conversations came in. Throws `TransferError`. */
export async function importFile(file: File, store: Store): Promise<number> {
  if (file.size > MAX_FILE_BYTES)
    throw new TransferError(`"${file.name}" is larger than ${MAX_FILE_BYTES >> 20} MB.`);
  const { conversations, messages, pictures } = readTransfer(await file.text(), file.name);
  for (const [key, url] of Object.entries(pictures)) {
    const blob = blobOf(url);
    // Another picture under this name would be shown in its place.
    if (blob !== null && `sha256:${await sha256Hex(blob.bytes)}` === key)
      await store.putPicture(key, new Blob([blob.bytes], { type: blob.type }));
  }
  for (const message of messages) await store.putMessage(message);
  for (const conversation of conversations) await store.putConversation(conversation);
  return conversations.length;
}

/** One conversation for people to read. @param path what is shown of it */
export function toMarkdown(title: string, path: readonly Message[]): Blob {
  const parts = path.map((message) => {
    if (message.role === "assistant") return `**${message.model}**\n\n${message.text}`;
    const pictures = message.pictures.map(({ name, alt }) => `*Picture: ${name}${alt ? ` (${alt})` : ""}*`);
    return [...pictures, message.text.replace(/^/gm, "> ")].join("\n\n");
  });
  return new Blob([`${[`# ${title}`, ...parts].join("\n\n")}\n`], { type: "text/markdown" });
}

async function dataUrl(blob: Blob): Promise<string> {
  return await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(typeof reader.result === "string" ? reader.result : ""));
    reader.addEventListener("error", () => reject(new TransferError("A picture could not be read.")));
    reader.readAsDataURL(blob);
  });
}

/** Of a `data:` URL that has the right shape. */
function blobOf(url: string): { readonly bytes: Uint8Array<ArrayBuffer>; readonly type: string } | null {
  const [head = "", data = ""] = url.split(",", 2);
  try {
    const bytes = Uint8Array.from(atob(data), (character) => character.codePointAt(0) ?? 0);
    return { bytes, type: head.slice("data:".length, head.indexOf(";")) };
  } catch {
    return null;
  }
}
