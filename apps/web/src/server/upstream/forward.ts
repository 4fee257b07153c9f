/**
 * Forwards requests to the controller and its answers to the browser, both byte for byte. When one side disconnects,
 * the other connection is closed too.
 */
import { Readable } from "node:stream";

import { LlavaError, REQUEST_ID_HEADER, encodeSseJson, errorBody } from "@llava/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Agent, request as send } from "undici";
import type { Dispatcher } from "undici";

/**
 * Longest wait for an answer, milliseconds: a long prompt may wait for a free slot, and unlike a stream, an answer in
 * one piece sends no comments meanwhile.
 */
const ANSWER_TIMEOUT_MS = 10 * 60_000;
const CONNECT_TIMEOUT_MS = 3_000;
const MAX_CONNECTIONS = 256;

/** Headers of the controller's answer that are forwarded; all others are this server's own. */
const KEPT_HEADERS = ["content-type", "cache-control", "retry-after", "x-accel-buffering"] as const;

/**
 * Called when an answer with status 200 begins; the function that it returns receives each chunk. Neither may throw.
 */
export type WatchAnswer = (isStream: boolean) => (bytes: Uint8Array) => void;

/** A request that this server makes for itself. */
export interface OwnRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export interface Forwarder extends AsyncDisposable {
  /**
   * Resolves to the controller's answer of any status. Throws `LlavaError`, with code `cancelled` when the signal was
   * aborted.
   */
  ask(request: OwnRequest): Promise<Dispatcher.ResponseData>;
  /** Sends the request to the same path of the controller and its answer to the browser. Throws `LlavaError`. */
  forward(request: FastifyRequest, reply: FastifyReply, watch?: WatchAnswer): Promise<FastifyReply>;
  /** Ends the running answers; the last event of each stream says so. */
  stop(): void;
}

/** @param key the API key by which the controller knows this server */
export function createForwarder(controllerUrl: string, key?: string): Forwarder {
  const dispatcher = new Agent({
    connections: MAX_CONNECTIONS,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: ANSWER_TIMEOUT_MS,
  });
  const stopping = new AbortController();
  return {
    async ask({ method, path, body, headers, signal }) {
      const all = {
        ...headers,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      };
      try {
        return await send(controllerUrl + path, {
          dispatcher,
          method,
          headers: all,
          body: body ?? null,
          signal,
        });
      } catch (thrown) {
        if (signal.aborted) throw new LlavaError("cancelled", "The answer was stopped.", { cause: thrown });
        throw unreachable(controllerUrl, thrown);
      }
    },
    async forward(request, reply, watch) {
      const left = whenBrowserLeaves(reply);
      const signal = AbortSignal.any([left, stopping.signal]);
      const answer = await ask(controllerUrl, request, { dispatcher, signal, key });
      reply.code(answer.statusCode);
      for (const name of KEPT_HEADERS) {
        const value = answer.headers[name];
        if (value !== undefined) reply.header(name, value);
      }
      const isStream = String(answer.headers["content-type"]).startsWith("text/event-stream");
      const seen = watch !== undefined && answer.statusCode === 200 ? watch(isStream) : null;
      const body = seen === null ? answer.body : showing(answer.body, seen);
      if (!isStream)
        return reply.send(seen === null ? answer.body : Readable.from(body, { objectMode: false }));
      const events = relayEvents(body, left, stopping.signal);
      return reply.send(Readable.from(events, { objectMode: false }));
    },
    stop: () => stopping.abort(),
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  };
}

interface Way {
  readonly dispatcher: Dispatcher;
  readonly signal: AbortSignal;
  readonly key: string | undefined;
}

async function ask(
  controllerUrl: string,
  request: FastifyRequest,
  { key, ...way }: Way,
): Promise<Dispatcher.ResponseData> {
  const { accept, "content-type": contentType } = request.headers;
  const headers: Record<string, string> = { [REQUEST_ID_HEADER]: request.id };
  if (accept !== undefined) headers["accept"] = accept;
  if (contentType !== undefined) headers["content-type"] = contentType;
  if (key !== undefined) headers["authorization"] = `Bearer ${key}`;
  const body = Buffer.isBuffer(request.body) ? request.body : null;
  try {
    return await send(controllerUrl + request.url, { ...way, method: method(request), headers, body });
  } catch (thrown) {
    if (way.signal.aborted) throw stopped(thrown);
    throw unreachable(controllerUrl, thrown);
  }
}

async function* showing(
  body: AsyncIterable<Uint8Array>,
  seen: (bytes: Uint8Array) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const bytes of body) {
    seen(bytes);
    yield bytes;
  }
}

function method({ method }: FastifyRequest): "GET" | "HEAD" | "POST" | "PUT" {
  return method === "POST" || method === "PUT" || method === "HEAD" ? method : "GET";
}

/** Aborted when the connection closes before the whole answer was written. */
function whenBrowserLeaves(reply: FastifyReply): AbortSignal {
  const left = new AbortController();
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) left.abort();
  });
  return left.signal;
}

/**
 * The controller's events unchanged. When they break off between two events, one more event reports that; when they
 * break off inside an event, the connection breaks too, because no event can be added within a line.
 */
async function* relayEvents(
  body: AsyncIterable<Uint8Array>,
  left: AbortSignal,
  stopping: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let isBetweenEvents = true;
  try {
    for await (const bytes of body) {
      yield bytes;
      isBetweenEvents = endsWithEmptyLine(bytes);
    }
  } catch (thrown) {
    if (left.aborted || !isBetweenEvents) throw thrown;
    const error = stopping.aborted ? stopped(thrown) : brokenOff(thrown);
    yield Buffer.from(encodeSseJson(errorBody(error)));
  }
}

function endsWithEmptyLine(bytes: Uint8Array): boolean {
  const newline = 10;
  return bytes.at(-1) === newline && bytes.at(-2) === newline;
}

function unreachable(controllerUrl: string, cause: unknown): LlavaError {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "UND_ERR_HEADERS_TIMEOUT") {
    const minutes = ANSWER_TIMEOUT_MS / 60_000;
    return new LlavaError("timeout", `The controller gave no answer within ${minutes} minutes. Try again.`, {
      cause,
    });
  }
  const sentence = `The controller at ${controllerUrl} does not answer. Start it with "llava controller", then try again.`;
  return new LlavaError("no_worker", sentence, { cause });
}

export function brokenOff(cause: unknown): LlavaError {
  const sentence = "The connection to the controller broke in the middle of the answer. Try again.";
  return new LlavaError("worker_lost", sentence, { cause });
}

function stopped(cause: unknown): LlavaError {
  return new LlavaError("shutting_down", "The web server is stopping. Try again in a moment.", { cause });
}
