/**
 * Checks the body of `POST /v1/completions`, OpenAI's older endpoint, which continues a text without a template, and makes
 * its answers. The source is https://platform.openai.com/docs/api-reference/completions.
 */
import { z } from "zod";

import {
  answerFields,
  type AnswerRequest,
  type AnswerRequestBody,
  type IsNeutral,
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
import { hint, parseBody } from "../codec/parse-body.ts";

/** The body as a client writes it. */
export interface TextRequestBody extends AnswerRequestBody {
  /** One text, at most 131,072 bytes in UTF-8. */
  readonly prompt: string | readonly [string];
  /** The number of the likeliest tokens that are sent with each token, 0 to 5. */
  readonly logprobs?: number;
}

/** The checked request. */
export interface TextRequest extends AnswerRequest {
  readonly prompt: string;
  readonly maxTokens: number;
}

/** A chunk of a stream, or the whole answer: they have one shape. */
export interface TextCompletion extends CompletionHead {
  readonly object: "text_completion";
  /** The answers, or the next text of one; none in the chunk that has the usage. */
  readonly choices: readonly TextChoice[];
  /** The usage, in the whole answer; in chunks when the client asked for it: null in every one but the last. */
  readonly usage?: ChatUsage | null;
  /** The timings, in the whole answer and in the chunk with the finish reason. They are ours. */
  readonly timings?: ChatTimings;
}

export interface TextChoice {
  readonly index: number;
  readonly text: string;
  readonly logprobs: TextLogprobs | null;
  readonly finish_reason: FinishReason | null;
}

/** The log-probabilities of an answer's tokens, with one entry for each token in each list. */
export interface TextLogprobs {
  /** The texts of the tokens. */
  readonly tokens: readonly string[];
  /** The natural logarithms of their probabilities. */
  readonly token_logprobs: readonly number[];
  /** The log-probabilities of the likeliest tokens by their texts; among tokens with one text it is the likelier. */
  readonly top_logprobs: readonly Readonly<Record<string, number>>[];
  /** The UTF-16 code units from the answer's beginning to the token. */
  readonly text_offset: readonly number[];
}

/** OpenAI's own default: a long text must be asked for. */
const DEFAULT_MAX_TOKENS = 16;
const MAX_LOGPROBS = 5;

const UNSUPPORTED: Readonly<Record<string, IsNeutral>> = {
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
    // 0 asks for the chosen token's own log-probability.
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

/** Checks a body, in which null means absent, as with OpenAI. Throws `invalid_request` naming the field and its value. */
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

/** @param offset the UTF-16 code units of the answer before these tokens */
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

/** The whole answers, for requests without `stream`. */
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
