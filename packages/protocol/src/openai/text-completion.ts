/**
 * `POST /v1/completions`, OpenAI's older endpoint: a text goes on. Apart from chat because there is no conversation and no
 * image in it, only words that no template surrounds.
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
  isOne,
  readAnswerFields,
  supportedFields,
} from "./answer-request.ts";
import { CHAT_LIMITS } from "./chat-messages.ts";
import type {
  AnsweredToken,
  ChatTimings,
  ChatUsage,
  CompletionHead,
  FinishReason,
  WholeAnswer,
} from "./completion.ts";
import { LlavaError } from "../codec/errors.ts";
import { parseBody } from "../codec/parse-body.ts";

export interface TextRequestBody extends AnswerRequestBody {
  readonly prompt: string | readonly [string];
  readonly logprobs?: number;
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
  readonly index: number;
  readonly text: string;
  readonly logprobs: TextLogprobs | null;
  readonly finish_reason: FinishReason | null;
}

/** In the older endpoint's shape: one entry a token in each list. */
export interface TextLogprobs {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly number[];
  /** By token; of tokens with one text the likelier. */
  readonly top_logprobs: readonly Readonly<Record<string, number>>[];
  /** In characters from the answer's beginning. */
  readonly text_offset: readonly number[];
}

/** OpenAI's: who wants a long text says so. */
const DEFAULT_MAX_TOKENS = 16;
const MAX_LOGPROBS = 5;

const UNSUPPORTED: Readonly<Record<string, AsksNothing>> = {
  best_of: isOne,
  echo: isFalse,
  suffix: (value) => value === "",
};

const prompt = z
  .string("a text")
  .min(1, "a text of at least one character")
  .refine((value) => value.isWellFormed(), "well-formed Unicode without half characters");
const textRequest = z.strictObject(
  {
    ...answerFields,
    // 0 asks for the chosen token's own.
    logprobs: z
      .int("a whole number from 0 to 5")
      .min(0, "a whole number from 0 to 5")
      .max(MAX_LOGPROBS, "a whole number from 0 to 5")
      .optional(),
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
  return {
    maxTokens: DEFAULT_MAX_TOKENS,
    ...readAnswerFields(wire),
    ...(wire.logprobs === undefined ? {} : { logprobs: wire.logprobs }),
    prompt: wire.prompt,
  };
}

export function textCompletionChunk(
  head: CompletionHead,
  text: string,
  finishReason: FinishReason | null = null,
  index = 0,
  logprobs: TextLogprobs | null = null,
): TextCompletion {
  return {
    ...headOf(head),
    choices: [{ index, text, logprobs, finish_reason: finishReason }],
  };
}

/** @param offset characters of the answer before these tokens */
export function textLogprobs(answered: readonly AnsweredToken[], offset: number): TextLogprobs {
  const offsets: number[] = [];
  let at = offset;
  for (const { token } of answered) {
    offsets.push(at);
    at += token.length;
  }
  return {
    tokens: answered.map(({ token }) => token),
    token_logprobs: answered.map(({ logprob }) => logprob),
    top_logprobs: answered.map(({ top_logprobs: top }) =>
      Object.fromEntries(top.toReversed().map(({ token, logprob }) => [token, logprob])),
    ),
    text_offset: offsets,
  };
}

export function textCompletionUsage(head: CompletionHead, usage: ChatUsage): TextCompletion {
  return { ...headOf(head), choices: [], usage };
}

/** The whole answers at once, for requests without `stream`. */
export function textCompletion(
  head: CompletionHead,
  answers: readonly WholeAnswer[],
  usage: ChatUsage,
  timings: ChatTimings,
): TextCompletion {
  const choices = answers.map(({ text, reason, logprobs }, index) => ({
    index,
    text,
    logprobs: logprobs === null ? null : textLogprobs(logprobs, 0),
    finish_reason: reason,
  }));
  return { ...headOf(head), choices, usage, timings };
}

function headOf({ id, created, model }: CompletionHead): CompletionHead & {
  readonly object: "text_completion";
} {
  return { id, object: "text_completion", created, model };
}
