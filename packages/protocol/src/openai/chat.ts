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
import { parseBody } from "../codec/parse-body.ts";
import { SAMPLING_LIMITS } from "./sampling-fields.ts";

/** The body as it crosses the wire; what a client writes. */
export interface ChatRequestBody extends AnswerRequestBody {
  readonly messages: readonly ChatMessageBody[];
  readonly max_completion_tokens?: number;
  readonly logprobs?: boolean;
  readonly top_logprobs?: number;
  readonly response_format?: object;
  /** The last message is the assistant's, and the answer goes on with its next character. */
  readonly continue_final_message?: boolean;
  /** Key of a conversation template, in place of the model's own. */
  readonly conversation_template?: string;
}

/** The checked request: one shape of content, images decoded from base64. */
export interface ChatRequest extends AnswerRequest {
  readonly messages: readonly ChatMessage[];
  /** Plain text when absent. */
  readonly format?: AnswerFormat;
  /** The last message is the assistant's, and the answer goes on with its next character. */
  readonly isUnfinished?: true;
  /** Key of a conversation template; the model's own when absent. */
  readonly conversation?: string;
}

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
 * Checks a body. null means absent, as with OpenAI. Throws `invalid_request` naming the field and its value,
 * `invalid_image` for an image that is neither a base64 data URL nor a reference nor an address.
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
