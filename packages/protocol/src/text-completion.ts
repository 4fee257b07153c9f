/**
 * `POST /v1/completions`, OpenAI's older endpoint: a text goes on. Apart from chat because there is no conversation and no
 * picture in it, only words that no template surrounds.
 */
import { z } from "zod";

import {
  answerFields,
  type AnswerRequest,
  type AnswerRequestBody,
  type AsksNothing,
  hint,
  IGNORED_FIELDS,
  isFalse,
  isNothing,
  isOne,
  readAnswerFields,
  supportedFields,
  UNSUPPORTED_FIELDS,
} from "./answer-request.ts";
import { CHAT_LIMITS } from "./chat.ts";
import type { ChatTimings, ChatUsage, CompletionHead, FinishReason } from "./completion.ts";
import { LlavaError } from "./errors.ts";
import { parseBody } from "./parse-body.ts";

export interface TextRequestBody extends AnswerRequestBody {
  readonly prompt: string | readonly [string];
}

export interface TextRequest extends AnswerRequest {
  readonly prompt: string;
  readonly maxTokens: number;
}

/** A chunk of a stream, or the whole answer: they have one shape. */
export interface TextCompletion extends CompletionHead {
  readonly object: "text_completion";
  /** Empty in the chunk that has the usage. */
  readonly choices: readonly TextChoice[];
  /** In the whole answer; of chunks only when the client asked for it: null in every one but the last. */
  readonly usage?: ChatUsage | null;
  /** In the whole answer and in the chunk with the finish reason; ours. */
  readonly timings?: ChatTimings;
}

export interface TextChoice {
  readonly index: 0;
  readonly text: string;
  readonly logprobs: null;
  readonly finish_reason: FinishReason | null;
}

/** OpenAI's: who wants a long text says so. */
const DEFAULT_MAX_TOKENS = 16;

const UNSUPPORTED: Readonly<Record<string, AsksNothing>> = {
  ...UNSUPPORTED_FIELDS,
  best_of: isOne,
  echo: isFalse,
  // 0 asks for the chosen token's own.
  logprobs: isNothing,
  suffix: (value) => value === "",
};

const prompt = z
  .string("a text")
  .min(1, "a text of at least one character")
  .refine((value) => value.isWellFormed(), "well-formed Unicode without half characters");
const textRequest = z.strictObject(
  {
    ...answerFields,
    prompt: z.preprocess(
      (value) => (Array.isArray(value) && value.length === 1 ? value[0] : value),
      z.string("one text, or a list of one").pipe(prompt),
    ),
  },
  { error: hint("a JSON object") },
);

/** Checks a body. null means absent, as with OpenAI. Throws `invalid_request` naming the field and its value. */
export function parseTextRequest(body: unknown): TextRequest {
  const wire = parseBody(textRequest, supportedFields(body, UNSUPPORTED, IGNORED_FIELDS));
  const bytes = new TextEncoder().encode(wire.prompt).length;
  if (bytes > CHAT_LIMITS.textBytes) {
    throw new LlavaError(
      "invalid_request",
      `The prompt has ${bytes} bytes; at most ${CHAT_LIMITS.textBytes} are allowed.`,
      { param: "prompt" },
    );
  }
  return { maxTokens: DEFAULT_MAX_TOKENS, ...readAnswerFields(wire), prompt: wire.prompt };
}

export function textCompletionChunk(
  head: CompletionHead,
  text: string,
  finishReason: FinishReason | null = null,
): TextCompletion {
  return {
    ...headOf(head),
    choices: [{ index: 0, text, logprobs: null, finish_reason: finishReason }],
  };
}

export function textCompletionUsage(head: CompletionHead, usage: ChatUsage): TextCompletion {
  return { ...headOf(head), choices: [], usage };
}

/** The whole answer at once, for requests without `stream`. */
export function textCompletion(
  head: CompletionHead,
  text: string,
  reason: FinishReason,
  usage: ChatUsage,
  timings: ChatTimings,
): TextCompletion {
  return { ...textCompletionChunk(head, text, reason), usage, timings };
}

function headOf({ id, created, model }: CompletionHead): CompletionHead & {
  readonly object: "text_completion";
} {
  return { id, object: "text_completion", created, model };
}
