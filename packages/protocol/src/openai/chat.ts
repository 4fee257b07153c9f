/**
 * Checks the body of `POST /v1/chat/completions`: the subset of OpenAI's fields that LLaVA can honour. The source is
 * https://platform.openai.com/docs/api-reference/chat/create.
 */
import { z } from "zod";

import {
  answerFields,
  type AnswerRequest,
  type AnswerRequestBody,
  type IsNeutral,
  IGNORED_FIELDS,
  isEmpty,
  isFalse,
  isNeverNeutral,
  readAnswerFields,
  supportedFields,
} from "./answer-request.ts";
import { type AnswerFormat, formatField, readFormat } from "./answer-format.ts";
import {
  type ChatMessage,
  type ChatMessageBody,
  messagesField,
  readMessages,
  templateField,
} from "./chat-messages.ts";
import { LlavaError } from "../codec/errors.ts";
import { hint, parseBody } from "../codec/parse-body.ts";
import { SAMPLING_LIMITS } from "./sampling-fields.ts";

/** The body as a client writes it. */
export interface ChatRequestBody extends AnswerRequestBody {
  /** The conversation, at most `CHAT_LIMITS` (OpenAI). */
  readonly messages: readonly ChatMessageBody[];
  /** The most tokens of the answer, in place of `max_tokens` (OpenAI). */
  readonly max_completion_tokens?: number;
  /** Whether the log-probability of each token is sent (OpenAI). */
  readonly logprobs?: boolean;
  /** The number of the likeliest tokens that are sent with each token, 0 to 20; it needs `logprobs` (OpenAI). */
  readonly top_logprobs?: number;
  /** The form that the answer must have (OpenAI); see answer-format.ts. */
  readonly response_format?: object;
  /** Whether the last message, of the assistant, is unfinished, so that the answer goes on with its next character (vLLM). */
  readonly continue_final_message?: boolean;
  /** The key of a conversation template, in place of the model's own (an extension of ours). */
  readonly conversation_template?: string;
}

/** The checked request, in which content has one shape and images are decoded from base64. */
export interface ChatRequest extends AnswerRequest {
  readonly messages: readonly ChatMessage[];
  /** The form that the answer must have; plain text when absent. */
  readonly format?: AnswerFormat;
  /** Whether the last message, of the assistant, is unfinished, so that the answer goes on with its next character. */
  readonly isUnfinished?: true;
  /** The key of a conversation template; the model's own when absent. */
  readonly conversation?: string;
}

/** OpenAI's fields that would change a chat and that the engine does not have, with the values that are as good as none. */
const UNSUPPORTED: Readonly<Record<string, IsNeutral>> = {
  audio: isNeverNeutral,
  function_call: isNeverNeutral,
  functions: isEmpty,
  modalities: (value) => Array.isArray(value) && value.length === 1 && value[0] === "text",
  moderation: isNeverNeutral,
  parallel_tool_calls: (value) => typeof value === "boolean",
  prediction: isNeverNeutral,
  reasoning_effort: isNeverNeutral,
  service_tier: (value) => value === "auto" || value === "default",
  store: isFalse,
  tool_choice: (value) => value === "none" || value === "auto",
  tools: isEmpty,
  verbosity: isNeverNeutral,
  web_search_options: isNeverNeutral,
};

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
    messages: messagesField,
    continue_final_message: z.boolean("true or false").optional(),
    conversation_template: templateField,
  },
  { error: hint("a JSON object") },
);

/**
 * Checks a body, in which null means absent, as with OpenAI. Throws `invalid_request` naming the field and its value, and
 * `invalid_image` for an image that is no base64 data URL, no reference and no address.
 */
export function parseChatRequest(body: unknown): ChatRequest {
  const wire = parseBody(chatRequest, supportedFields(body, UNSUPPORTED, IGNORED_FIELDS));
  const logprobs = readLogprobs(wire);
  const format = readFormat(wire.response_format);
  return {
    ...readAnswerFields(wire),
    ...(logprobs === undefined ? {} : { logprobs }),
    ...(format === undefined ? {} : { format }),
    messages: readMessages(wire.messages),
    ...(wire.continue_final_message === true ? { isUnfinished: true } : {}),
    ...(wire.conversation_template === undefined ? {} : { conversation: wire.conversation_template }),
  };
}

function readLogprobs({ logprobs, top_logprobs: top = 0 }: z.infer<typeof chatRequest>): number | undefined {
  if (logprobs === true) return top;
  if (top === 0) return undefined;
  throw new LlavaError("invalid_request", `The field top_logprobs is ${top}; it needs logprobs: true.`, {
    param: "top_logprobs",
  });
}
