/**
 * Reads the conversation in the body of a request: messages of texts and images, which a chat and an occlusion map share.
 * The source is https://platform.openai.com/docs/api-reference/chat/create.
 */
import { z } from "zod";

import { parseImageDataUrl } from "../codec/base64.ts";
import { LlavaError } from "../codec/errors.ts";
import { isImageKey } from "../codec/image-key.ts";
import { hint, isRecord, withoutNulls } from "../codec/parse-body.ts";

/** The most of what one conversation may have. */
export const CHAT_LIMITS = {
  messages: 512,
  /** The parts of all messages together. */
  parts: 1024,
  /** The bytes of all texts together in UTF-8. */
  textBytes: 128 << 10,
  /** The images of all messages together. */
  images: 8,
} as const;

/** The author of a message. OpenAI's `developer` is read as `system`. */
export type ChatRole = "system" | "user" | "assistant";

/** A message as a client writes it. */
export interface ChatMessageBody {
  readonly role: ChatRole;
  /** A text, or at least one part. */
  readonly content: string | readonly ChatPartBody[];
}

export type ChatPartBody =
  | { readonly type: "text"; readonly text: string }
  /** An image: `url` is a data URL, the key of an uploaded image, or an address; `mode` is an extension of ours. */
  | { readonly type: "image_url"; readonly image_url: { readonly url: string; readonly mode?: ImageMode } };

const IMAGE_MODES = ["default", "pad", "crop", "resize"] as const;
/**
 * How an image that is no square becomes the square that the model sees, with the names of haotian-liu/LLaVA
 * (`image_process_mode` in `llava/conversation.py`). `default` is what the model's config.json asks for.
 */
export type ImageMode = (typeof IMAGE_MODES)[number];

/** A checked message. */
export interface ChatMessage {
  readonly role: ChatRole;
  readonly content: readonly ChatPart[];
}

export type ChatPart = ChatTextPart | ChatImagePart;
/** An image in the body, one that was uploaded before, or an address of one. */
export type ChatImagePart = (ChatImageBytes | ChatImageReference | ChatImageAddress) & {
  /** The way in which the image becomes the square that the model sees; the model's own when absent. */
  readonly shape?: Exclude<ImageMode, "default">;
};

export interface ChatTextPart {
  readonly type: "text";
  readonly text: string;
}

export interface ChatImageBytes {
  readonly type: "image";
  /** The type that the sender gives; the decoder finds it in the bytes. */
  readonly mediaType: string;
  /** The encoded file: PNG, JPEG or WebP. */
  readonly bytes: Uint8Array;
}

export interface ChatImageReference {
  readonly type: "image_reference";
  /** The image's key, as `isImageKey` checks it. */
  readonly key: string;
  /** The field of the body that it came from, for errors. */
  readonly field: string;
}

export interface ChatImageAddress {
  readonly type: "image_address";
  /** The address as it was sent, with any scheme, at most 4096 characters; nothing else of it is checked here. */
  readonly url: string;
  /** The field of the body that it came from, for errors. */
  readonly field: string;
}

const MAX_ADDRESS_LENGTH = 4096;

/** The control characters that no keyboard types and that terminals obey; tabs and the ends of lines stay. */
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g;
const text = z
  .string("a text")
  .refine((value) => value.isWellFormed(), "well-formed Unicode without half characters")
  .transform((value) => value.replace(CONTROLS, ""));
/** A field for OpenAI's hosted models, which changes nothing here: where their cache of prompts may end. */
const cacheHint = { prompt_cache_breakpoint: z.unknown().optional() };
const textPart = z.strictObject({ type: z.literal("text"), text, ...cacheHint });
const imagePart = z.strictObject({
  type: z.literal("image_url"),
  image_url: z.strictObject(
    {
      url: z.string("an image as data:image/…;base64,…"),
      // It changes nothing: these models see every image in one size (image_detail in the model card).
      detail: z.enum(["auto", "low", "high"], "auto, low or high").optional(),
      mode: z.enum(IMAGE_MODES, "default, pad, crop or resize").optional(),
    },
    { error: hint("an object with url") },
  ),
  ...cacheHint,
});
const part = z.preprocess(
  fromResponsesPart,
  z.discriminatedUnion("type", [textPart, imagePart], { error: hint("of type text or image_url") }),
);
const content = z.preprocess(
  (value) => (typeof value === "string" ? [{ type: "text", text: value }] : value),
  z.array(part, "a text or a list of parts").min(1, "a text or a list of at least one part"),
);
const message = z.preprocess(
  withoutNulls,
  z.strictObject(
    {
      role: z.preprocess(
        (value) => (value === "developer" ? "system" : value),
        z.enum(["system", "user", "assistant"], "system, user or assistant"),
      ),
      content,
    },
    { error: hint("an object with role and content") },
  ),
);
/** The schema of the key of a conversation template. */
export const templateField = z
  .string("a template's name")
  .max(64, "a name of at most 64 characters")
  .optional();
/** The images of a conversation, in order. */
export function imageParts(messages: readonly ChatMessage[]): readonly ChatImagePart[] {
  return messages.flatMap(({ content }) => content.filter((part) => part.type !== "text"));
}

/** The schema of the field `messages`. */
export const messagesField = z
  .array(message, "a list of messages")
  .min(1, "a list of at least one message")
  .max(CHAT_LIMITS.messages, `a list of at most ${CHAT_LIMITS.messages} messages`);

/** Throws `invalid_request` beyond a limit, `invalid_image` for an image that is no base64, no reference and no address. */
export function readMessages(messages: z.infer<typeof messagesField>): readonly ChatMessage[] {
  checkSizes(messages);
  return messages.map(({ role, content }, index) => ({
    role,
    content: content.map((part, at) => readPart(part, `messages[${index}].content[${at}]`)),
  }));
}

/** A part of OpenAI's newer Responses API, which some clients send here too, as a part of this API; others as they are. */
function fromResponsesPart(part: unknown): unknown {
  if (!isRecord(part)) return part;
  if (part["type"] === "input_text") return { ...part, type: "text" };
  if (part["type"] !== "input_image" || typeof part["image_url"] !== "string") return part;
  const { image_url: url, detail, ...rest } = part;
  return { ...rest, type: "image_url", image_url: withoutNulls({ url, detail: detail ?? null }) };
}

function checkSizes(messages: z.infer<typeof messagesField>): void {
  const parts = messages.flatMap((message) => message.content);
  refuseOver("parts of content", parts.length, CHAT_LIMITS.parts);
  refuseOver("images", parts.filter((part) => part.type === "image_url").length, CHAT_LIMITS.images);
  const encoder = new TextEncoder();
  let textBytes = 0;
  for (const part of parts) {
    if (part.type === "text") textBytes += encoder.encode(part.text).length;
  }
  refuseOver("bytes of text", textBytes, CHAT_LIMITS.textBytes);
}

function refuseOver(what: string, number: number, limit: number): void {
  if (number <= limit) return;
  throw new LlavaError(
    "invalid_request",
    `The messages hold ${number} ${what}; at most ${limit} are allowed.`,
    { param: "messages" },
  );
}

function readPart(part: z.infer<typeof content>[number], at: string): ChatPart {
  if (part.type === "text") return { type: "text", text: part.text };
  const { url, mode } = part.image_url;
  const field = `${at}.image_url.url`;
  const shape = mode === undefined || mode === "default" ? {} : { shape: mode };
  if (isImageKey(url)) return { type: "image_reference", key: url, field, ...shape };
  if (isAddress(url)) return { type: "image_address", url, field, ...shape };
  return { type: "image", ...parseImageDataUrl(url, field), ...shape };
}

/** Whether a URL has a scheme other than `data:` and is no reference with a mistake in it. One with a space in front is none. */
function isAddress(url: string): boolean {
  return (
    url.length <= MAX_ADDRESS_LENGTH && /^[a-z][a-z0-9+.-]*:/i.test(url) && !/^(data|sha256):/i.test(url)
  );
}
