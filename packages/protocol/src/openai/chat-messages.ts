/**
 * The conversation in the body of a request: messages of texts and images. Apart from the request around it, because a
 * chat and a map of an image (occlusion.ts) both begin with one.
 */
import { z } from "zod";

import { hint, isRecord, withoutNulls } from "./answer-request.ts";
import { parseImageDataUrl } from "../codec/base64.ts";
import { LlavaError } from "../codec/errors.ts";
import { isImageKey } from "../codec/image-key.ts";

export const CHAT_LIMITS = {
  messages: 512,
  parts: 1024,
  textBytes: 128 << 10,
  images: 8,
} as const;

export type ChatRole = "system" | "user" | "assistant";

export interface ChatMessageBody {
  readonly role: ChatRole;
  readonly content: string | readonly ChatPartBody[];
}

export type ChatPartBody =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image_url"; readonly image_url: { readonly url: string; readonly mode?: ImageMode } };

/** How an image that is no square becomes what the model sees: LLaVA's four. `default` is as the model's files say. */
const IMAGE_MODES = ["default", "pad", "crop", "resize"] as const;
export type ImageMode = (typeof IMAGE_MODES)[number];

export interface ChatMessage {
  readonly role: ChatRole;
  readonly content: readonly ChatPart[];
}

export type ChatPart = ChatTextPart | ChatImagePart;
/** An image that came along, one that was uploaded before, or where one could be fetched. */
export type ChatImagePart = (ChatImageBytes | ChatImageReference | ChatImageAddress) & {
  /** Of the square that the model sees; the model's own when absent. */
  readonly shape?: Exclude<ImageMode, "default">;
};

export interface ChatTextPart {
  readonly type: "text";
  readonly text: string;
}

export interface ChatImageBytes {
  readonly type: "image";
  /** What the sender says; the decoder looks for itself. */
  readonly mediaType: string;
  /** The encoded file, PNG or JPEG and so on. */
  readonly bytes: Uint8Array;
}

export interface ChatImageReference {
  readonly type: "image_reference";
  /** Of `isImageKey`. */
  readonly key: string;
  /** The field of the body that it came from, for refusals. */
  readonly field: string;
}

export interface ChatImageAddress {
  readonly type: "image_address";
  /** As it was sent, of any scheme: nothing of it is checked but its length. */
  readonly url: string;
  readonly field: string;
}

const MAX_ADDRESS_LENGTH = 4096;

/** What no person types and terminals obey; tab and the ends of lines stay. */
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g;
const text = z
  .string("a text")
  .refine((value) => value.isWellFormed(), "well-formed Unicode without half characters")
  .transform((value) => value.replace(CONTROLS, ""));
/** Of OpenAI's hosted models: where its cache of prompts may be cut. */
const cacheHint = { prompt_cache_breakpoint: z.unknown().optional() };
const textPart = z.strictObject({ type: z.literal("text"), text, ...cacheHint });
const imagePart = z.strictObject({
  type: z.literal("image_url"),
  image_url: z.strictObject(
    {
      url: z.string("an image as data:image/…;base64,…"),
      // Changes nothing: these models see every image in one size (the model card says so: image_detail).
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
/** Key of a conversation template. */
export const templateField = z
  .string("a template's name")
  .max(64, "a name of at most 64 characters")
  .optional();
/** The images of a conversation, in order. */
export function imageParts(messages: readonly ChatMessage[]): readonly ChatImagePart[] {
  return messages.flatMap(({ content }) => content.filter((part) => part.type !== "text"));
}

/** The schema's part of a body. */
export const messagesField = z
  .array(message, "a list of messages")
  .min(1, "a list of at least one message")
  .max(CHAT_LIMITS.messages, `a list of at most ${CHAT_LIMITS.messages} messages`);

/** Throws `invalid_request` over a limit, `invalid_image` for an image that is neither base64 nor reference nor address. */
export function readMessages(messages: z.infer<typeof messagesField>): readonly ChatMessage[] {
  checkSizes(messages);
  return messages.map(({ role, content }, index) => ({
    role,
    content: content.map((part, at) => readPart(part, `messages[${index}].content[${at}]`)),
  }));
}

/** The parts of OpenAI's newer Responses API, as some clients send them here too, in the words of this one. */
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

/** What has a scheme that is not `data:` and is not a reference with a mistake in it. Blanks in front are no way around that. */
function isAddress(url: string): boolean {
  return (
    url.length <= MAX_ADDRESS_LENGTH && /^[a-z][a-z0-9+.-]*:/i.test(url) && !/^(data|sha256):/i.test(url)
  );
}
