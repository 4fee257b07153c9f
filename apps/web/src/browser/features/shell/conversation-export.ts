/** Exports the conversations of the browser's database as a file, and imports such files; loaded when the user wants it. */
import type { Message } from "../../services/store/records.ts";
import { TEXTS } from "../../ui/texts.ts";
import { sha256Hex } from "../../images/worker/sha256.ts";
import type { Store } from "../../services/store/store.ts";
import { ConversationFileError, readConversationFile, writeConversationFile } from "./conversation-file.ts";

const MAX_FILE_BYTES = 512 << 20;

/** All conversations, with the files of their images. */
export async function exportAll(store: Store): Promise<Blob> {
  const [conversations, messages] = await Promise.all([store.conversations(), store.allMessages()]);
  const keys = new Set(
    messages.flatMap((message) => (message.role === "user" ? message.images.map(({ key }) => key) : [])),
  );
  const images: Record<string, string> = {};
  for (const key of keys) {
    const blob = await store.image(key);
    if (blob !== null) images[key] = await dataUrl(blob);
  }
  return new Blob([writeConversationFile({ conversations, messages, images })], { type: "application/json" });
}

/** Resolves to the number of imported conversations. Throws `ConversationFileError`. */
export async function importFile(file: File, store: Store): Promise<number> {
  if (file.size > MAX_FILE_BYTES)
    throw new ConversationFileError(`"${file.name}" is larger than ${MAX_FILE_BYTES >> 20} MB.`);
  const { conversations, messages, images } = readConversationFile(await file.text(), file.name);
  for (const [key, url] of Object.entries(images)) {
    const blob = blobOf(url);
    // An image whose hash is not its key would be shown in place of another one.
    if (blob !== null && `sha256:${await sha256Hex(blob.bytes)}` === key)
      await store.putImage(key, new Blob([blob.bytes], { type: blob.type }));
  }
  for (const message of messages) await store.putMessage(message);
  for (const conversation of conversations) await store.putConversation(conversation);
  return conversations.length;
}

/** One conversation as Markdown, for people to read. @param path the messages that are shown */
export function toMarkdown(title: string, path: readonly Message[]): Blob {
  const parts = path.map((message) => {
    if (message.role === "assistant") return `**${message.model}**\n\n${message.text}`;
    const images = message.images.map(({ name, alt }) => `*${TEXTS.transfer.image(name, alt)}*`);
    return [...images, message.text.replace(/^/gm, "> ")].join("\n\n");
  });
  return new Blob([`${[`# ${title}`, ...parts].join("\n\n")}\n`], { type: "text/markdown" });
}

async function dataUrl(blob: Blob): Promise<string> {
  return await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(typeof reader.result === "string" ? reader.result : ""));
    reader.addEventListener("error", () => reject(new ConversationFileError(TEXTS.transfer.imageFailed)));
    reader.readAsDataURL(blob);
  });
}

/** The content of a `data:` URL that has the right shape; null where its base64 is damaged. */
function blobOf(url: string): { readonly bytes: Uint8Array<ArrayBuffer>; readonly type: string } | null {
  const [head = "", data = ""] = url.split(",", 2);
  try {
    const bytes = Uint8Array.from(atob(data), (character) => character.codePointAt(0) ?? 0);
    return { bytes, type: head.slice("data:".length, head.indexOf(";")) };
  } catch {
    return null;
  }
}
