/**
 * A request to `POST /v1/chat/completions`: the subset of OpenAI's body that LLaVA can honour, checked once at the
 * door. Apart because everything that a stranger may send passes through `parseChatRequest`, and nothing else does.
 */
import { z } from "zod";

import {
  answerFields,
  type AnswerRequest,
  type AnswerRequestBody,
  type AsksNothing,
  hint,
  IGNORED_FIELDS,
  isEmpty,
  isFalse,
  isNothing,
  isRecord,
  readAnswerFields,
  supportedFields,
  withoutNulls,
} from "./answer-request.ts";
import { type AnswerFormat, formatField, readFormat } from "./answer-format.ts";
import { parseImageDataUrl } from "./base64.ts";
import { LlavaError } from "./errors.ts";
import { parseBody } from "./parse-body.ts";
import { isPictureKey } from "./picture-key.ts";
import { SAMPLING_LIMITS } from "./sampling-fields.ts";

export const CHAT_LIMITS = {
  messages: 64,
  parts: 64,
  textBytes: 128 << 10,
  images: 8,
} as const;

export type ChatRole = "system" | "user" | "assistant";

/** The body as it crosses the wire; what a client writes. */
export interface ChatRequestBody extends AnswerRequestBody {
  readonly messages: readonly ChatMessageBody[];
  readonly max_completion_tokens?: number;
  readonly logprobs?: boolean;
  readonly top_logprobs?: number;
  readonly response_format?: object;
}

export interface ChatMessageBody {
  readonly role: ChatRole;
  readonly content: string | readonly ChatPartBody[];
}

export type ChatPartBody =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image_url"; readonly image_url: { readonly url: string } };

/** The checked request: one shape of content, pictures decoded from base64. */
export interface ChatRequest extends AnswerRequest {
  readonly messages: readonly ChatMessage[];
  /** Plain text when absent. */
  readonly format?: AnswerFormat;
}

export interface ChatMessage {
  readonly role: ChatRole;
  readonly content: readonly ChatPart[];
}

export type ChatPart = ChatTextPart | ChatPicturePart;
/** A picture that came along, one that was uploaded before, or where one could be fetched. */
export type ChatPicturePart = ChatImagePart | ChatImageReference | ChatImageAddress;

export interface ChatTextPart {
  readonly type: "text";
  readonly text: string;
}

export interface ChatImagePart {
  readonly type: "image";
  /** What the sender says; the decoder looks for itself. */
  readonly mediaType: string;
  /** The encoded file, PNG or JPEG and so on. */
  readonly bytes: Uint8Array;
}

export interface ChatImageReference {
  readonly type: "image_reference";
  /** Of `isPictureKey`. */
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

/** OpenAI's fields that change a chat and that we do not have, with the values that ask for nothing. */
const UNSUPPORTED: Readonly<Record<string, AsksNothing>> = {
  audio: isNothing,
  function_call: isNothing,
  functions: isEmpty,
  modalities: (value) => Array.isArray(value) && value.length === 1 && value[0] === "text",
  moderation: isNothing,
  parallel_tool_calls: (value) => typeof value === "boolean",
  prediction: isNothing,
  reasoning_effort: isNothing,
  service_tier: (value) => value === "auto" || value === "default",
  store: isFalse,
  tool_choice: (value) => value === "none" || value === "auto",
  tools: isEmpty,
  verbosity: isNothing,
  web_search_options: isNothing,
};

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
      url: z.string("a picture as data:image/…;base64,…"),
      // Changes nothing: these models see every picture in one size (the model card says so: image_detail).
      detail: z.enum(["auto", "low", "high"], "auto, low or high").optional(),
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
const chatRequest = z.strictObject(
  {
    ...answerFields,
    logprobs: z.boolean("true or false").optional(),
    top_logprobs: z
      .int("a whole number from 0 to 20")
      .min(0, "a whole number from 0 to 20")
      .max(SAMPLING_LIMITS.topLogprobs, "a whole number from 0 to 20")
      .optional(),
    response_format: formatField,
    messages: z
      .array(message, "a list of messages")
      .min(1, "a list of at least one message")
      .max(CHAT_LIMITS.messages, "a list of at most 64 messages"),
  },
  { error: hint("a JSON object") },
);

/**
 * Checks a body. null means absent, as with OpenAI. Throws `invalid_request` naming the field and its value,
 * `invalid_image` for a picture that is neither a base64 data URL nor a reference nor an address.
 */
export function parseChatRequest(body: unknown): ChatRequest {
  const wire = parseBody(chatRequest, supportedFields(body, UNSUPPORTED, IGNORED_FIELDS));
  checkSizes(wire.messages);
  const logprobs = readLogprobs(wire);
  const format = readFormat(wire.response_format);
  return {
    ...readAnswerFields(wire),
    ...(logprobs === undefined ? {} : { logprobs }),
    ...(format === undefined ? {} : { format }),
    messages: wire.messages.map((message, index) => ({
      role: message.role,
      content: message.content.map((part, at) => readPart(part, `messages[${index}].content[${at}]`)),
    })),
  };
}

function readLogprobs({ logprobs, top_logprobs: top = 0 }: z.infer<typeof chatRequest>): number | undefined {
  if (logprobs === true) return top;
  if (top === 0) return undefined;
  throw new LlavaError("invalid_request", `The field top_logprobs is ${top}; it needs logprobs: true.`, {
    param: "top_logprobs",
  });
}

/** The parts of OpenAI's newer Responses API, as some clients send them here too, in the words of this one. */
function fromResponsesPart(part: unknown): unknown {
  if (!isRecord(part)) return part;
  if (part["type"] === "input_text") return { ...part, type: "text" };
  if (part["type"] !== "input_image" || typeof part["image_url"] !== "string") return part;
  const { image_url: url, detail, ...rest } = part;
  return { ...rest, type: "image_url", image_url: withoutNulls({ url, detail: detail ?? null }) };
}

function checkSizes(messages: z.infer<typeof chatRequest>["messages"]): void {
  const parts = messages.flatMap((message) => message.content);
  refuseOver("parts of content", parts.length, CHAT_LIMITS.parts);
  refuseOver("pictures", parts.filter((part) => part.type === "image_url").length, CHAT_LIMITS.images);
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
  const { url } = part.image_url;
  const field = `${at}.image_url.url`;
  if (isPictureKey(url)) return { type: "image_reference", key: url, field };
  if (isAddress(url)) return { type: "image_address", url, field };
  return { type: "image", ...parseImageDataUrl(url, field) };
}

/** What has a scheme that is not `data:` and is not a reference with a mistake in it. Blanks in front are no way around that. */
function isAddress(url: string): boolean {
  return (
    url.length <= MAX_ADDRESS_LENGTH && /^[a-z][a-z0-9+.-]*:/i.test(url) && !/^(data|sha256):/i.test(url)
  );
}
