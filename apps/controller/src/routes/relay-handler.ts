/** Hands an incoming request to `Relay` and its answer back to the client, for the routes of LLaVA and of OpenAI alike. */
import {
  PROGRESS_HEADER,
  PROGRESS_VERSION,
  REQUEST_ID_HEADER,
  toLlavaError,
  type Framing,
  type LlavaError,
} from "@llava/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";
import { referredKeysOf } from "../body/image-fields.ts";
import { readRelayFields, type RelayFields } from "../body/model-field.ts";
import { bytesOfBody } from "../body/request-body.ts";
import { requestKeys } from "../body/request-keys.ts";
import type { ControllerMetrics } from "../metrics/controller-metrics.ts";
import { NO_KEYS } from "../registry/dispatch.ts";
import { transferAnswer, type AnswerTransfer, type Outcome } from "../relay/answer-transfer.ts";
import { endResponse } from "../relay/client-writer.ts";
import type { OpenStreams } from "../relay/open-streams.ts";
import type { RelayLimits, RelayRequest } from "../relay/relay-request.ts";
import type { Relay } from "../relay/relay.ts";
import type { RelayedAnswer } from "../relay/relayed-answer.ts";

/** What differs between the endpoints whose requests are relayed. */
export interface RelayEndpoint extends Pick<AnswerTransfer, "separator" | "failureOf"> {
  /** The path on the worker. */
  readonly path: string;
  readonly framing: Framing;
  /** Whether every answer is a stream, whatever the body asks for. */
  readonly isAlwaysStream: boolean;
  /** Throws when this answer must not be passed on. */
  readonly check: (answer: RelayedAnswer) => void;
  /** Sends the error of a request that failed before anything was sent. May throw it instead, for the error handler. */
  readonly refuse: (error: LlavaError, reply: FastifyReply) => void;
  /** The frame that ends a stream which failed after whole frames were sent. */
  readonly lastFrame: (error: LlavaError) => string;
}

export interface RelayParts {
  readonly relay: Relay;
  readonly streams: OpenStreams;
  readonly limits: RelayLimits;
  readonly metrics: ControllerMetrics;
}

/** A handler that relays to `endpoint.path` of a worker that has the body's `model`. */
export function relayHandler(
  parts: RelayParts,
  endpoint: RelayEndpoint,
): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply> {
  return async (request, reply) => {
    // Before the stream begins, so that every endpoint refuses a body without a model by an HTTP status.
    const read = readRelayFields(bytesOfBody(request));
    const fields = { ...read, isStream: read.isStream || endpoint.isAlwaysStream };
    const measured = parts.metrics.begin(fields.model, fields.isStream);
    await parts.streams.run(reply.raw, async (signal) => {
      const relayed = { ...(await relayRequest(parts.relay, endpoint, fields, request, signal)), measured };
      await relayOnce(parts, endpoint, relayed, request, reply, signal);
    });
    return reply;
  };
}

async function relayRequest(
  relay: Relay,
  endpoint: RelayEndpoint,
  { model, isStream, promptStart }: RelayFields,
  request: FastifyRequest,
  signal: AbortSignal,
): Promise<Omit<RelayRequest, "measured">> {
  const body = bytesOfBody(request);
  return {
    model,
    path: endpoint.path,
    body,
    headers: {
      "content-type": "application/json",
      [REQUEST_ID_HEADER]: request.id,
      ...(request.headers[PROGRESS_HEADER] === PROGRESS_VERSION
        ? { [PROGRESS_HEADER]: PROGRESS_VERSION }
        : {}),
    },
    framing: endpoint.framing,
    isStream,
    keys: relay.usesKeys ? await requestKeys(body, promptStart, signal) : NO_KEYS,
    referredKeys: referredKeysOf(body),
  };
}

async function relayOnce(
  parts: RelayParts,
  endpoint: RelayEndpoint,
  relayed: RelayRequest,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<void> {
  const startedMs = performance.now();
  const { log } = request;
  const { model } = relayed;
  let answer: RelayedAnswer;
  try {
    answer = await parts.relay.open(relayed, signal, log);
  } catch (thrown) {
    const error = toLlavaError(thrown);
    log.warn({ model, code: error.code, reason: error.message }, "request not relayed");
    relayed.measured.ended(error.code);
    endpoint.refuse(error, reply);
    return;
  }
  const { worker, status } = answer;
  const outcome = await passOn(parts, endpoint, relayed, answer, request, reply, signal);
  relayed.measured.ended(status < 400 || outcome.code !== "ok" ? outcome.code : "refused");
  const ms = Math.round(performance.now() - startedMs);
  log.info({ model, worker: worker.address, status, ...outcome, ms }, "request relayed");
}

/** Sends the answer to the client. @returns how it ended, for the log */
async function passOn(
  { relay, limits }: RelayParts,
  endpoint: RelayEndpoint,
  relayed: RelayRequest,
  answer: RelayedAnswer,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<Pick<Outcome, "code">> {
  const { raw: response } = reply;
  const { log } = request;
  const { separator, failureOf } = endpoint;
  const stallMs = limits.readerStallMs;
  try {
    endpoint.check(answer);
    reply.hijack();
    response.writeHead(answer.status, { ...answer.headers, [REQUEST_ID_HEADER]: request.id });
    const transfer = { relay, request: relayed, response, signal, log, stallMs, separator, failureOf };
    return await transferAnswer(transfer, answer);
  } catch (thrown) {
    const error = toLlavaError(thrown);
    log.warn({ worker: answer.worker.address, code: error.code, err: thrown }, "answer broke off");
    if (!reply.sent) endpoint.refuse(error, reply);
    else if (error.code === "cancelled" || !answer.isFramed) response.destroy();
    else await endWith(response, endpoint.lastFrame(error), signal, stallMs);
    return { code: error.code };
  } finally {
    answer.close();
  }
}

async function endWith(
  response: FastifyReply["raw"],
  lastFrame: string,
  signal: AbortSignal,
  stallMs: number,
): Promise<void> {
  response.end(lastFrame);
  await endResponse(response, signal, stallMs).catch(() => response.destroy());
}
