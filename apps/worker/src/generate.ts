/** The only place where wire requests become engine requests. */
import type { GenerateRequest } from "@llava/engine";
import { LlavaError, type ChatMessage, type ChatRequest, type WireGenerateRequest } from "@llava/protocol";

const IMAGE = "<image>";
const GREEDY_BELOW = 0.001;

/** @throws LlavaError `invalid_request` when the last message asks nothing */
export function fromChatRequest(chat: ChatRequest): GenerateRequest {
  requireQuestion(chat.messages.at(-1));
  return {
    prompt: chat.messages.map((message) => ({ role: message.role, text: messageText(message) })),
    images: chat.messages.flatMap(({ content }) =>
      content.flatMap((part) => (part.type === "image" ? [part.bytes] : [])),
    ),
    stop: chat.stop,
    ...(chat.temperature === undefined ? {} : { temperature: chat.temperature }),
    ...(chat.topP === undefined ? {} : { topP: chat.topP }),
    ...(chat.topK === undefined ? {} : { topK: chat.topK }),
    ...(chat.maxTokens === undefined ? {} : { maxTokens: chat.maxTokens }),
    ...(chat.seed === undefined ? {} : { seed: chat.seed }),
  };
}

/** LLaVA's rule: a temperature of at most 0.001 is greedy (llava.md 2.4, Appendix B). */
export function fromWireRequest(wire: WireGenerateRequest): GenerateRequest {
  return {
    prompt: wire.prompt,
    images: wire.images,
    temperature: wire.temperature > GREEDY_BELOW ? wire.temperature : 0,
    topP: wire.topP,
    maxTokens: wire.maxNewTokens,
    stop: wire.stop === null ? [] : [wire.stop],
  };
}

function requireQuestion(last: ChatMessage | undefined): void {
  if (last?.content.some((part) => part.type === "image" || part.text.trim() !== "")) return;
  throw new LlavaError("invalid_request", "The last message is empty. Ask something or show a picture.");
}

/**
 * A message's parts as the one text that LLaVA was trained on: pictures first, each as `<image>` on its own line, then
 * the question. Parts that put words between pictures keep their order; a text that already says `<image>` keeps its
 * own places, and the engine checks their count.
 */
function messageText({ content }: ChatMessage): string {
  const texts = content.flatMap((part) => (part.type === "text" ? [part.text] : []));
  if (texts.some((text) => text.includes(IMAGE))) return texts.join("\n");
  if (texts.length > 1) return content.map((part) => (part.type === "text" ? part.text : IMAGE)).join("\n");
  const numImages = content.length - texts.length;
  return [...Array.from({ length: numImages }, () => IMAGE), ...texts].join("\n");
}
