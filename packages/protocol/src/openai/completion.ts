/**
 * The answers of `POST /v1/chat/completions`, as OpenAI shapes them: chunks of a stream, the whole completion and the
 * body of an error. Apart so that whoever writes an answer and whoever reads one look at the same page.
 */
import { ERROR_TABLE, isErrorCode, LlavaError, type ErrorCode } from "../codec/errors.ts";

export type FinishReason = "stop" | "length";

/** What every chunk of one answer repeats. */
export interface CompletionHead {
  /** `chatcmpl-…`, `cmpl-…` for texts. */
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
}

export interface ChatChunk extends CompletionHead {
  readonly object: "chat.completion.chunk";
  /** Empty in the chunk that has the usage. */
  readonly choices: readonly ChatChunkChoice[];
  /** Only when the client asked for it: null in every chunk but the last one. */
  readonly usage?: ChatUsage | null;
  /** In the chunk with the finish reason. Ours: OpenAI's clients pass over it. */
  readonly timings?: ChatTimings;
}

export interface ChatChunkChoice {
  readonly index: number;
  readonly delta: { readonly role?: "assistant"; readonly content?: string };
  /** Of the delta's tokens; only when the client asked for them. */
  readonly logprobs?: ChatLogprobs;
  readonly finish_reason: FinishReason | null;
}

export interface ChatLogprobs {
  readonly content: readonly AnsweredToken[];
  readonly refusal: null;
}

export interface TokenLikelihood {
  /** Half characters become U+FFFD; the bytes are exact. */
  readonly token: string;
  /** Natural logarithm, -9999 for what is impossible. */
  readonly logprob: number;
  readonly bytes: readonly number[];
}

/** A token of an answer, and the likeliest ones at its place. */
export interface AnsweredToken extends TokenLikelihood {
  readonly top_logprobs: readonly TokenLikelihood[];
}

/** One of the answers to a question, whole; `logprobs` is null where they were not asked for. */
export interface WholeAnswer {
  readonly text: string;
  readonly reason: FinishReason;
  readonly logprobs: readonly AnsweredToken[] | null;
}

export interface ChatCompletion extends CompletionHead {
  readonly object: "chat.completion";
  readonly choices: readonly ChatChoice[];
  readonly usage: ChatUsage;
  readonly timings: ChatTimings;
}

export interface ChatChoice {
  readonly index: number;
  readonly message: { readonly role: "assistant"; readonly content: string; readonly refusal: null };
  readonly logprobs: ChatLogprobs | null;
  readonly finish_reason: FinishReason;
}

export interface ChatUsage {
  /** All positions of the prompt, those of images included. */
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: {
    /** Positions that were not computed again because an earlier request had them. */
    readonly cached_tokens: number;
    readonly image_tokens: number;
  };
}

/** Milliseconds; `first_token_ms` counts from the arrival of the request. */
export interface ChatTimings {
  readonly queue_ms: number;
  readonly encode_ms: number;
  readonly prefill_ms: number;
  readonly decode_ms: number;
  readonly first_token_ms: number;
}

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly code: ErrorCode;
    readonly param: string | null;
  };
}

/** A head with a fresh id. */
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

/** The first chunk: the role and no words yet. */
export function roleChunk(head: CompletionHead, index = 0): ChatChunk {
  return chatChunk(head, { index, delta: { role: "assistant", content: "" } });
}

export function textChunk(
  head: CompletionHead,
  text: string,
  index = 0,
  logprobs: readonly AnsweredToken[] | null = null,
): ChatChunk {
  const told = logprobs === null ? {} : { logprobs: { content: logprobs, refusal: null } };
  return chatChunk(head, { index, delta: { content: text }, ...told });
}

/** @param timings of our own, for whoever shows them; they are not OpenAI's and stand where its clients look at nothing */
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
  const told = logprobs === undefined ? {} : { logprobs };
  return {
    id: head.id,
    object: "chat.completion.chunk",
    created: head.created,
    model: head.model,
    choices: [{ index, delta, ...told, finish_reason }],
  };
}

/** The last chunk, after the one with the finish reason, for clients that asked for it. */
export function usageChunk(head: CompletionHead, usage: ChatUsage): ChatChunk {
  return { ...roleChunk(head), choices: [], usage };
}

/** The whole answers at once, for requests without `stream`. */
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

/** @param counts.promptTokens all positions of the prompt, images included. */
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

/** Headers by which OpenAI's clients decide whether to try again, and when. */
export function retryHeaders(error: LlavaError): Record<string, string> {
  // The clients try 409 and everything from 500 again by themselves unless they are told not to.
  if (!error.retryable) {
    return error.status >= 500 || error.status === 409 ? { "x-should-retry": "false" } : {};
  }
  return error.status === 429 || error.status === 503 ? { "retry-after": "1", "retry-after-ms": "1000" } : {};
}

/** The error that a body of `errorBody`'s shape tells of; null when it has another shape. A foreign code becomes `internal`. */
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
