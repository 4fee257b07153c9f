/** Turns the requests of the wire formats into requests for a backend: the only place that does. */
import type { GenerateRequest, Message, MessagePart, OcclusionRequest, ImageShapes } from "@llava/backend";
import {
  LlavaError,
  imageParts,
  type AnswerRequest,
  type ChatMessage,
  type ChatRequest,
  type OcclusionMapRequest,
  type TextRequest,
  type WireGenerateRequest,
} from "@llava/protocol";

const GREEDY_BELOW = 0.001;
const IMAGE: MessagePart = { type: "image" };
const LINE_BREAK: MessagePart = { type: "text", text: "\n" };

/**
 * @param images the files of the conversation's images, in their order
 * @throws LlavaError `invalid_request` when the last message asks nothing
 */
export function fromChatRequest(chat: ChatRequest, images: readonly Uint8Array[]): GenerateRequest {
  requireQuestion(chat.messages);
  const { conversation, isUnfinished } = chat;
  return {
    ...conversationOf(chat.messages),
    images,
    ...(conversation === undefined ? {} : { conversation }),
    ...(isUnfinished === undefined ? {} : { isUnfinished }),
    ...samplingOf(chat),
    ...(chat.format === undefined ? {} : { grammar: chat.format }),
  };
}

/** The fields of a conversation that do not hold the files of its images. */
function conversationOf(messages: readonly ChatMessage[]): {
  readonly prompt: readonly Message[];
  readonly shapes: ImageShapes;
} {
  return {
    prompt: messages.map((message) => ({ role: message.role, text: messageParts(message) })),
    shapes: imageParts(messages).map(({ shape }) => shape),
  };
}

export function fromOcclusionMapRequest(
  { messages, answer, start, end, image, cells, conversation }: OcclusionMapRequest,
  images: readonly Uint8Array[],
): OcclusionRequest {
  const { prompt, shapes } = conversationOf(messages);
  return {
    messages: prompt,
    shapes,
    images,
    answer,
    start,
    end,
    image,
    ...(cells === undefined ? {} : { cells }),
    ...(conversation === undefined ? {} : { conversation }),
  };
}

/** The text is continued as it stands: no template, no image, no special token. */
export function fromTextRequest(text: TextRequest): GenerateRequest {
  return { prompt: { text: text.prompt }, images: [], ...samplingOf(text) };
}

/** Fields that have the same name in a backend's request. */
const SHARED = [
  "priority",
  "temperature",
  "topP",
  "topK",
  "minP",
  "repetitionPenalty",
  "presencePenalty",
  "frequencyPenalty",
  "logitBias",
  "maxTokens",
  "minTokens",
  "stop",
  "stopTokenIds",
  "ignoreEos",
  "seed",
  "logprobs",
] as const satisfies readonly (keyof AnswerRequest & keyof GenerateRequest)[];
type Shared = Pick<GenerateRequest, (typeof SHARED)[number]>;

function samplingOf(asked: AnswerRequest): Shared {
  return Object.fromEntries(
    SHARED.map((name) => [name, asked[name]]).filter(([, value]) => value !== undefined),
  );
}

/** A temperature of at most 0.001 is greedy, as in the original (haotian-liu/LLaVA, llava/serve/model_worker.py). */
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

function requireQuestion(messages: readonly ChatMessage[]): void {
  const last = messages.at(-1);
  if (last?.content.some((part) => part.type !== "text" || part.text.trim() !== "")) return;
  throw new LlavaError("invalid_request", "The last message is empty. Ask something or show an image.", {
    param: `messages[${messages.length - 1}].content`,
  });
}

/**
 * A message's parts, one a line, as LLaVA was trained on them: images first, then the question. Parts with text between
 * images keep their order. `<image>` in a text stays text.
 */
function messageParts({ content }: ChatMessage): readonly MessagePart[] {
  const isInOrder = content.filter(({ type }) => type === "text").length > 1;
  const ordered = isInOrder
    ? content
    : content.toSorted((a, b) => Number(a.type === "text") - Number(b.type === "text"));
  return ordered.flatMap((part, index) => {
    const shown: MessagePart = part.type === "text" ? { type: "text", text: part.text } : IMAGE;
    return index === 0 ? [shown] : [LINE_BREAK, shown];
  });
}
