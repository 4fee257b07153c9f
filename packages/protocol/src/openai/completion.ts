/**
 * Makes the answers of `POST /v1/chat/completions` in OpenAI's shapes: the chunks of a stream, the whole completion and the
 * body of an error. The sources are https://platform.openai.com/docs/api-reference/chat/object and
 * https://platform.openai.com/docs/api-reference/chat/streaming.
 */
import { ERROR_TABLE, isErrorCode, LlavaError, type ErrorCode } from "../codec/errors.ts";

/** Why an answer ended: at its end or a stop text, or at its limit of tokens. */
export type FinishReason = "stop" | "length";

/** The fields that every chunk of one answer repeats. */
export interface CompletionHead {
  /** The answer's id: `chatcmpl-…`, or `cmpl-…` for texts. */
  readonly id: string;
  /** When the answer began, in Unix seconds. */
  readonly created: number;
  readonly model: string;
}

/** One event of a streamed answer. */
export interface ChatChunk extends CompletionHead {
  readonly object: "chat.completion.chunk";
  /** One choice; none in the chunk that has the usage. */
  readonly choices: readonly ChatChunkChoice[];
  /** The usage, when the client asked for it: null in every chunk but the last one. */
  readonly usage?: ChatUsage | null;
  /** The timings, in the chunk with the finish reason. They are ours, and OpenAI's clients skip them. */
  readonly timings?: ChatTimings;
}

export interface ChatChunkChoice {
  /** The number of the answer among several (`n`), from 0. */
  readonly index: number;
  /** The text that comes next; the first chunk has the role. */
  readonly delta: { readonly role?: "assistant"; readonly content?: string };
  /** The log-probabilities of the delta's tokens, when the client asked for them. */
  readonly logprobs?: ChatLogprobs;
  readonly finish_reason: FinishReason | null;
}

export interface ChatLogprobs {
  readonly content: readonly AnsweredToken[];
  readonly refusal: null;
}

export interface TokenLikelihood {
  /** The token's text, in which a part of a character is U+FFFD. */
  readonly token: string;
  /** The natural logarithm of its probability; -9999 for an impossible token. */
  readonly logprob: number;
  /** The token's bytes, which are exact. */
  readonly bytes: readonly number[];
}

/** A token of an answer, and the likeliest ones in its place. */
export interface AnsweredToken extends TokenLikelihood {
  /** The likeliest tokens in its place, at most 20, the likeliest first. */
  readonly top_logprobs: readonly TokenLikelihood[];
}

/** One whole answer to a request. */
export interface WholeAnswer {
  readonly text: string;
  readonly reason: FinishReason;
  /** The log-probabilities of its tokens; null where they were not asked for. */
  readonly logprobs: readonly AnsweredToken[] | null;
}

/** The answer to a request without `stream`. */
export interface ChatCompletion extends CompletionHead {
  readonly object: "chat.completion";
  readonly choices: readonly ChatChoice[];
  readonly usage: ChatUsage;
  readonly timings: ChatTimings;
}

export interface ChatChoice {
  /** The number of the answer among several (`n`), from 0. */
  readonly index: number;
  readonly message: { readonly role: "assistant"; readonly content: string; readonly refusal: null };
  readonly logprobs: ChatLogprobs | null;
  readonly finish_reason: FinishReason;
}

/** The tokens that a request took (OpenAI; `image_tokens` is ours). */
export interface ChatUsage {
  /** The tokens of the prompt, those of images included. */
  readonly prompt_tokens: number;
  /** The tokens of all answers. */
  readonly completion_tokens: number;
  /** The sum of both. */
  readonly total_tokens: number;
  readonly prompt_tokens_details: {
    /** The tokens that were not computed again because an earlier request had them. */
    readonly cached_tokens: number;
    /** The tokens of images. */
    readonly image_tokens: number;
  };
}

/** The milliseconds that the steps of a request took (an extension of ours). */
export interface ChatTimings {
  /** The time in the queue. */
  readonly queue_ms: number;
  /** The time in which its images were encoded. */
  readonly encode_ms: number;
  /** The time in which the prompt was computed. */
  readonly prefill_ms: number;
  /** The time from the first token to the last. */
  readonly decode_ms: number;
  /** The time from the arrival of the request to the first token. */
  readonly first_token_ms: number;
}

/** The body of an HTTP error (https://platform.openai.com/docs/guides/error-codes). */
export interface ErrorBody {
  readonly error: {
    /** A sentence for people. */
    readonly message: string;
    /** OpenAI's kind of error, by the HTTP status. */
    readonly type: string;
    readonly code: ErrorCode;
    /** The field of the request that was wrong; null where there is none to name. */
    readonly param: string | null;
  };
}

/** A head with a new id. @param now Unix milliseconds */
export function completionHead(
  model: string,
  now = Date.now(),
  kind: "chatcmpl" | "cmpl" = "chatcmpl",
): CompletionHead {
  const random = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  );
  return { id: `${kind}-${random.join("")}`, created: Math.floor(now / 1000), model };
}

/** The first chunk, with the role and no text. */
export function roleChunk(head: CompletionHead, index = 0): ChatChunk {
  return chatChunk(head, { index, delta: { role: "assistant", content: "" } });
}

export function textChunk(
  head: CompletionHead,
  text: string,
  index = 0,
  logprobs: readonly AnsweredToken[] | null = null,
): ChatChunk {
  const optional = logprobs === null ? {} : { logprobs: { content: logprobs, refusal: null } };
  return chatChunk(head, { index, delta: { content: text }, ...optional });
}

/** The chunk that ends an answer. */
export function finishChunk(
  head: CompletionHead,
  reason: FinishReason,
  timings?: ChatTimings,
  index = 0,
): ChatChunk {
  const chunk = chatChunk(head, { index, delta: {}, finish_reason: reason });
  return timings === undefined ? chunk : { ...chunk, timings };
}

function chatChunk(
  head: CompletionHead,
  {
    index,
    delta,
    logprobs,
    finish_reason = null,
  }: Partial<ChatChunkChoice> & Pick<ChatChunkChoice, "index" | "delta">,
): ChatChunk {
  const optional = logprobs === undefined ? {} : { logprobs };
  return {
    id: head.id,
    object: "chat.completion.chunk",
    created: head.created,
    model: head.model,
    choices: [{ index, delta, ...optional, finish_reason }],
  };
}

/** The last chunk, after the one with the finish reason, for clients that asked for it. */
export function usageChunk(head: CompletionHead, usage: ChatUsage): ChatChunk {
  return { ...roleChunk(head), choices: [], usage };
}

/** The whole answers, for requests without `stream`. */
export function chatCompletion(
  head: CompletionHead,
  answers: readonly WholeAnswer[],
  usage: ChatUsage,
  timings: ChatTimings,
): ChatCompletion {
  return {
    id: head.id,
    object: "chat.completion",
    created: head.created,
    model: head.model,
    choices: answers.map(({ text, reason, logprobs }, index) => ({
      index,
      message: { role: "assistant", content: text, refusal: null },
      logprobs: logprobs === null ? null : { content: logprobs, refusal: null },
      finish_reason: reason,
    })),
    usage,
    timings,
  };
}

/** @param counts.promptTokens the tokens of the prompt, those of images included */
export function chatUsage(counts: {
  readonly promptTokens: number;
  readonly imageTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
}): ChatUsage {
  return {
    prompt_tokens: counts.promptTokens,
    completion_tokens: counts.completionTokens,
    total_tokens: counts.promptTokens + counts.completionTokens,
    prompt_tokens_details: { cached_tokens: counts.cachedTokens, image_tokens: counts.imageTokens },
  };
}

export function chatTimings(timings: {
  readonly queueMs: number;
  readonly encodeMs: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly firstTokenMs: number;
}): ChatTimings {
  return {
    queue_ms: timings.queueMs,
    encode_ms: timings.encodeMs,
    prefill_ms: timings.prefillMs,
    decode_ms: timings.decodeMs,
    first_token_ms: timings.firstTokenMs,
  };
}

/** The body of an HTTP error, and the data of the event that ends a stream that failed. */
export function errorBody(error: LlavaError): ErrorBody {
  return {
    error: { message: error.message, type: errorType(error.code), code: error.code, param: error.param },
  };
}

/** The headers by which OpenAI's clients decide whether to try again, and when (`src/client.ts` of openai/openai-node). */
export function retryHeaders(error: LlavaError): Record<string, string> {
  // The clients try 409 and everything from 500 again by themselves unless this header forbids it.
  if (!error.retryable) {
    return error.status >= 500 || error.status === 409 ? { "x-should-retry": "false" } : {};
  }
  return error.status === 429 || error.status === 503 ? { "retry-after": "1", "retry-after-ms": "1000" } : {};
}

/** The error in a body of `errorBody`'s shape; null when it has another shape. An unknown code becomes `internal`. */
export function parseErrorBody(body: unknown): LlavaError | null {
  const error = fieldOf(body, "error");
  const message = fieldOf(error, "message");
  if (typeof message !== "string") return null;
  const code = fieldOf(error, "code");
  const param = fieldOf(error, "param");
  return new LlavaError(isErrorCode(code) ? code : "internal", message, {
    param: typeof param === "string" ? param : null,
  });
}

function errorType(code: ErrorCode): string {
  const { status } = ERROR_TABLE[code];
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 404) return "not_found_error";
  if (status === 409) return "conflict_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}
