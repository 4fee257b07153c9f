/**
 * A request to `POST /v1/chat/completions`: the subset of OpenAI's body that LLaVA can honour, checked once at the
 * door. Apart because everything that a stranger may send passes through `parseChatRequest`, and nothing else does.
 */
import { z } from "zod";

import { parseImageDataUrl } from "./base64.ts";
import { LlavaError } from "./errors.ts";
import { parseBody, shown } from "./parse-body.ts";

export const CHAT_LIMITS = {
  messages: 64,
  parts: 64,
  textBytes: 128 << 10,
  images: 8,
  stops: 4,
  stopLength: 64,
  modelLength: 256,
  maxTokens: 1_000_000,
} as const;

export type ChatRole = "system" | "user" | "assistant";

/** The body as it crosses the wire; what a client writes. */
export interface ChatRequestBody {
  readonly model: string;
  readonly messages: readonly ChatMessageBody[];
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly max_tokens?: number;
  readonly max_completion_tokens?: number;
  readonly stop?: string | readonly string[];
  readonly seed?: number;
}

export interface ChatMessageBody {
  readonly role: ChatRole;
  readonly content: string | readonly ChatPartBody[];
}

export type ChatPartBody =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image_url"; readonly image_url: { readonly url: string } };

/** The checked request: one shape of content, pictures decoded from base64, absent options absent. */
export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** 0 to 2; 0 is greedy. */
  readonly temperature?: number;
  /** Above 0, up to 1. */
  readonly topP?: number;
  /** 0 means all. */
  readonly topK?: number;
  readonly maxTokens?: number;
  readonly stop: readonly string[];
  readonly seed?: number;
}

export interface ChatMessage {
  readonly role: ChatRole;
  readonly content: readonly ChatPart[];
}

export type ChatPart = ChatTextPart | ChatImagePart;

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

/** OpenAI's fields that change the answer and that we do not have, with the values that ask for nothing. */
const UNSUPPORTED_FIELDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  audio: isNothing,
  frequency_penalty: isZero,
  function_call: isNothing,
  functions: isEmpty,
  logit_bias: isEmpty,
  logprobs: isFalse,
  modalities: (value) => Array.isArray(value) && value.length === 1 && value[0] === "text",
  n: (value) => value === 1,
  parallel_tool_calls: (value) => typeof value === "boolean",
  prediction: isNothing,
  presence_penalty: isZero,
  reasoning_effort: isNothing,
  response_format: (value) => isRecord(value) && value["type"] === "text",
  service_tier: (value) => value === "auto" || value === "default",
  store: isFalse,
  tool_choice: (value) => value === "none" || value === "auto",
  tools: isEmpty,
  top_logprobs: isZero,
  verbosity: isNothing,
  web_search_options: isNothing,
};

/** Fields that only say something about the caller; read by nobody. */
const IGNORED_FIELDS: ReadonlySet<string> = new Set([
  "metadata",
  "prompt_cache_key",
  "safety_identifier",
  "user",
]);

const text = z
  .string("a text")
  .refine((value) => value.isWellFormed(), "well-formed Unicode without half characters");
const textPart = z.strictObject({ type: z.literal("text"), text });
const imagePart = z.strictObject({
  type: z.literal("image_url"),
  image_url: z.strictObject(
    {
      url: z.string("a picture as data:image/…;base64,…"),
      detail: z.enum(["auto", "low", "high"], "auto, low or high").optional(),
    },
    { error: hint("an object with url") },
  ),
});
const part = z.discriminatedUnion("type", [textPart, imagePart], {
  error: hint("of type text or image_url"),
});
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
const tokens = z
  .int("a whole number from 1")
  .min(1, "a whole number from 1")
  .max(CHAT_LIMITS.maxTokens, "at most 1000000");
const stop = z
  .string("a text")
  .min(1, "a text of 1 to 64 characters")
  .max(CHAT_LIMITS.stopLength, "a text of 1 to 64 characters")
  .refine((value) => value.isWellFormed(), "well-formed Unicode without half characters");
const chatRequest = z.strictObject(
  {
    model: z
      .string("a model's name")
      .min(1, "a model's name")
      .max(CHAT_LIMITS.modelLength, "a name of at most 256 characters"),
    messages: z
      .array(message, "a list of messages")
      .min(1, "a list of at least one message")
      .max(CHAT_LIMITS.messages, "a list of at most 64 messages"),
    stream: z.boolean("true or false").optional(),
    stream_options: z
      .strictObject(
        {
          include_usage: z.boolean("true or false").optional(),
          include_obfuscation: z.literal(false, "false").optional(),
        },
        { error: hint("an object") },
      )
      .optional(),
    temperature: z
      .number("a number from 0 to 2")
      .min(0, "a number from 0 to 2")
      .max(2, "a number from 0 to 2")
      .optional(),
    top_p: z
      .number("a number above 0, up to 1")
      .gt(0, "a number above 0, up to 1")
      .max(1, "a number above 0, up to 1")
      .optional(),
    top_k: z
      .int("a whole number from 0")
      .min(0, "a whole number from 0")
      .max(2 ** 31 - 1, "a whole number up to 2147483647")
      .optional(),
    max_tokens: tokens.optional(),
    max_completion_tokens: tokens.optional(),
    stop: z
      .preprocess(
        (value) => (typeof value === "string" ? [value] : value),
        z.array(stop, "a text or a list of texts").max(CHAT_LIMITS.stops, "a list of at most 4 texts"),
      )
      .optional(),
    seed: z.int32("a whole number from -2147483648 to 2147483647").optional(),
  },
  { error: hint("a JSON object") },
);

/**
 * Checks a body. null means absent, as with OpenAI. Throws `invalid_request` naming the field and its value,
 * `invalid_image` for a picture that is not a base64 data URL.
 */
export function parseChatRequest(body: unknown): ChatRequest {
  const wire = parseBody(chatRequest, supportedFields(body));
  const maxTokens = wire.max_completion_tokens ?? wire.max_tokens;
  checkSizes(wire.messages);
  return {
    model: wire.model,
    messages: wire.messages.map((message, index) => ({
      role: message.role,
      content: message.content.map((part, at) => readPart(part, `messages[${index}].content[${at}]`)),
    })),
    stream: wire.stream ?? false,
    includeUsage: wire.stream_options?.include_usage ?? false,
    ...(wire.temperature === undefined ? {} : { temperature: wire.temperature }),
    ...(wire.top_p === undefined ? {} : { topP: wire.top_p }),
    ...(wire.top_k === undefined ? {} : { topK: wire.top_k }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    stop: wire.stop ?? [],
    ...(wire.seed === undefined ? {} : { seed: wire.seed }),
  };
}

/** The body without fields that ask for nothing; `invalid_request` for one that asks for what we do not have. */
function supportedFields(body: unknown): unknown {
  const fields = withoutNulls(body);
  if (!isRecord(fields)) return fields;
  const kept: [string, unknown][] = [];
  for (const [name, value] of Object.entries(fields)) {
    const asksNothing = Object.hasOwn(UNSUPPORTED_FIELDS, name) ? UNSUPPORTED_FIELDS[name] : undefined;
    if (asksNothing !== undefined && !asksNothing(value)) {
      throw new LlavaError(
        "invalid_request",
        `The field ${name} is not supported here (it is ${shown(value)}); leave it out.`,
      );
    }
    if (asksNothing === undefined && !IGNORED_FIELDS.has(name)) kept.push([name, value]);
  }
  return Object.fromEntries(kept);
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
  );
}

function readPart(part: z.infer<typeof content>[number], field: string): ChatPart {
  if (part.type === "text") return part;
  return { type: "image", ...parseImageDataUrl(part.image_url.url, `${field}.image_url.url`) };
}

/** A schema's own error says what the value must be; unknown keys keep their own complaint, which names them. */
function hint(what: string): (issue: { readonly code?: string | undefined }) => string | undefined {
  return (issue) => (issue.code === "unrecognized_keys" ? undefined : what);
}

function withoutNulls(value: unknown): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNothing(): boolean {
  return false;
}

function isZero(value: unknown): boolean {
  return value === 0;
}

function isFalse(value: unknown): boolean {
  return value === false;
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
