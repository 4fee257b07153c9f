/** Sends single requests to the server: ask, stop, upload, vote. Everything else comes on the stream of events. */
import { isErrorCode, LlavaError, readBody, SSE_DONE, SseParser } from "@llava/protocol/browser";
import type { PageChatBody, PageError, PageStreamStarted, PageVote } from "@llava/protocol/browser";

import type { Failure } from "../store/records.ts";

/** The failure of a request, with the values that the page shows. */
export class RequestFailed extends Error {
  override readonly name = "RequestFailed";
  readonly failure: Failure;

  constructor(failure: Failure, options?: ErrorOptions) {
    super(failure.message, options);
    this.failure = failure;
  }
}

/** Resolves to the id of the answer's stream. Throws `RequestFailed`. */
export async function postChat(body: PageChatBody, signal: AbortSignal): Promise<string> {
  const response = await send("/api/chat", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  const { stream } = (await response.json()) as PageStreamStarted;
  return stream;
}

/** Never fails: an answer that cannot be stopped ends by itself. */
export async function stopStream(stream: string): Promise<void> {
  await fetch(`/api/streams/${stream}`, { method: "DELETE", keepalive: true }).catch(() => undefined);
}

/** Resolves to whether the server keeps a log of votes. Throws `RequestFailed`. */
export async function postVote(vote: PageVote): Promise<boolean> {
  const response = await send("/api/votes", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(vote),
  });
  const { stored } = (await response.json()) as { readonly stored: boolean };
  return stored;
}

/** Throws `RequestFailed`. */
export async function putBlob(key: string, blob: Blob, signal: AbortSignal): Promise<void> {
  await send(`/v1/blobs/${key}`, {
    method: "PUT",
    headers: { "content-type": blob.type },
    body: blob,
    signal,
  });
}

/**
 * The JSON of each event of a stream, up to `[DONE]`. Throws `RequestFailed`, also when the stream ends with an
 * error.
 */
export async function* openStream(
  url: string,
  body: string,
  signal: AbortSignal,
): AsyncGenerator<unknown, void, undefined> {
  const headers = { "content-type": "application/json" };
  const response = await send(url, { method: "POST", headers, body, signal });
  const parser = new SseParser();
  for await (const bytes of readBody(response.body))
    for (const { data } of parser.push(bytes)) {
      if (data === SSE_DONE) return;
      const event: unknown = JSON.parse(data);
      const error = errorIn(event);
      if (error !== null) throw new RequestFailed(failureIn(error));
      yield event;
    }
}

function failureIn({ code, message, retryable }: LlavaError): Failure {
  return { code, message, isRetryable: retryable, retryAfterMs: null };
}

async function send(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (cause) {
    throw new RequestFailed(offline(), { cause });
  }
  if (response.ok) return response;
  throw new RequestFailed(await refusal(response));
}

function offline(): Failure {
  const message = "The server cannot be reached. Is it still running, and are you online?";
  return { code: "offline", message, isRetryable: true, retryAfterMs: null };
}

export function failureOf({ code, message, retryable, retryAfterMs }: PageError): Failure {
  return { code, message, isRetryable: retryable, retryAfterMs };
}

async function refusal(response: Response): Promise<Failure> {
  const body: unknown = await response.json().catch(() => null);
  const { code, message, retryable } = errorIn(body) ?? unexplained(response.status);
  const waitMs = Number(response.headers.get("retry-after-ms") ?? Number.NaN);
  return { code, message, isRetryable: retryable, retryAfterMs: Number.isFinite(waitMs) ? waitMs : null };
}

function unexplained(status: number): LlavaError {
  return new LlavaError(
    "internal",
    `The server answered with status ${status} and no explanation. Try again.`,
  );
}

/** Parses an error body in OpenAI's form, which all servers of this project send; null for any other body. */
function errorIn(body: unknown): LlavaError | null {
  if (typeof body !== "object" || body === null || !("error" in body)) return null;
  const { code, message } = body.error as { readonly code?: unknown; readonly message?: unknown };
  if (!isErrorCode(code) || typeof message !== "string") return null;
  return new LlavaError(code, message);
}
