/** Builds the body of a chat request from a path through a conversation. */
import type { ChatMessageBody, PageChatBody } from "@llava/protocol/browser";

import type { Message, ImageRef, Settings } from "../../services/store/records.ts";

/**
 * The messages for the model, oldest first. A question without an answer is left out, but its images are kept: they
 * go with the next question.
 */
export function toMessages(path: readonly Message[], system: string | null): readonly ChatMessageBody[] {
  const messages: ChatMessageBody[] = [];
  if (system !== null && system.trim() !== "") messages.push({ role: "system", content: system });
  let images: readonly ImageRef[] = [];
  for (const [index, message] of path.entries()) {
    if (message.role === "assistant") {
      if (message.text !== "") messages.push({ role: "assistant", content: message.text });
      continue;
    }
    images = [...images, ...message.images];
    const next = path[index + 1];
    if (next?.role === "assistant" && next.text === "" && index + 2 < path.length) continue;
    messages.push({ role: "user", content: contentOf(message.text, images) });
    images = [];
  }
  return messages;
}

function contentOf(text: string, images: readonly ImageRef[]): ChatMessageBody["content"] {
  if (images.length === 0) return text;
  const parts = images.map(({ key, mode }) => {
    const shown = mode === "default" ? {} : { mode };
    return { type: "image_url", image_url: { url: key, ...shown } } as const;
  });
  return [...parts, { type: "text", text }];
}

/** @param path ends in the question, or in the answer that shall be continued */
export function toBody(model: string, path: readonly Message[], settings: Settings): PageChatBody {
  const { temperature, top_p, max_tokens, seed, stop, system, template } = settings;
  return {
    model,
    messages: toMessages(path, system),
    temperature,
    top_p,
    max_tokens,
    ...(seed === null ? {} : { seed }),
    ...(stop.length === 0 ? {} : { stop }),
    ...(template === null ? {} : { conversation_template: template }),
    ...(path.at(-1)?.role === "assistant" ? { continue_final_message: true } : {}),
  };
}

/** Keys of the images of all messages of a path, without duplicates. */
export function imageKeys(path: readonly Message[]): readonly string[] {
  const keys = path.flatMap((message) =>
    message.role === "user" ? message.images.map(({ key }) => key) : [],
  );
  return [...new Set(keys)];
}
