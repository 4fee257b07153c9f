/** From an incoming request to `Relay` and back to the client, apart because LLaVA's and OpenAI's route share all but their words. */
import {
  PROGRESS_HEADER,
  PROGRESS_VERSION,
  REQUEST_ID_HEADER,
  toLlavaError,
  type LlavaError,
} from "@llava/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Answer } from "../relay/relayed-answer.ts";
import { bytesOfBody } from "../body/request-body.ts";
import { endResponse } from "../relay/client-writer.ts";
import type { ControllerMetrics } from "../controller-metrics.ts";
import type { Framing } from "../relay/frame-splitter.ts";
import { NO_KEYS } from "../registry/dispatch.ts";
import { readRelayFields, type RelayFields } from "../body/model-field.ts";
import { referredKeysOf } from "../body/image-fields.ts";
import type { Relay, RelayLimits, RelayRequest } from "../relay/relay.ts";
import { requestKeys } from "../body/request-keys.ts";
import type { Streams } from "../relay/open-streams.ts";
import { transferAnswer, type Outcome, type Transfer } from "../relay/relay-attempt.ts";

/** What differs between the two doors. */
export interface Door extends Pick<Transfer, "seam" | "failureOf"> {
  /** The path on the worker. */
  readonly path: string;
  readonly framing: Framing;
  /** Whether every answer is a stream, whatever the body says. */
  readonly isAlwaysStream: boolean;
  /** Throws when this answer must not be passed on. */
  readonly check: (answer: Answer) => void;
  /** Says that it failed before anything was sent. May throw instead, for the error handler. */
  readonly refuse: (error: LlavaError, reply: FastifyReply) => void;
  /** The frame that says that a stream failed after whole frames were sent. */
  readonly lastFrame: (error: LlavaError) => string;
}

export interface RelayParts {
  readonly relay: Relay;
  readonly streams: Streams;
  readonly limits: RelayLimits;
  readonly metrics: ControllerMetrics;
}

/** A handler that relays to `door.path` of a worker that has the body's `model`. */
export function relayHandler(
  parts: RelayParts,
  door: Door,
): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply> {
  return async (request, reply) => {
    // Before the stream begins: a body without a model is refused as such by both doors.
    const read = readRelayFields(bytesOfBody(request));
    const fields = { ...read, isStream: read.isStream || door.isAlwaysStream };
    const measured = parts.metrics.begin(fields.model, fields.isStream);
    await parts.streams.run(reply.raw, async (signal) => {
      const relayed = { ...(await relayRequest(parts.relay, door, fields, request, signal)), measured };
      await relayOnce(parts, door, relayed, request, reply, signal);
    });
    return reply;
  };
}

async function relayRequest(
  relay: Relay,
  door: Door,
  { model, isStream, promptStart }: RelayFields,
  request: FastifyRequest,
  signal: AbortSignal,
): Promise<Omit<RelayRequest, "measured">> {
  const body = bytesOfBody(request);
  return {
    model,
    path: door.path,
    body,
    headers: {
      "content-type": "application/json",
      [REQUEST_ID_HEADER]: request.id,
      ...(request.headers[PROGRESS_HEADER] === PROGRESS_VERSION
        ? { [PROGRESS_HEADER]: PROGRESS_VERSION }
        : {}),
    },
    framing: door.framing,
    isStream,
    keys: relay.usesKeys ? await requestKeys(body, promptStart, signal) : NO_KEYS,
    referredKeys: referredKeysOf(body),
  };
}

async function relayOnce(
  parts: RelayParts,
  door: Door,
  relayed: RelayRequest,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<void> {
  const startedMs = performance.now();
  const { log } = request;
  const { model } = relayed;
  let answer: Answer;
  try {
    answer = await parts.relay.open(relayed, signal, log);
  } catch (thrown) {
    const error = toLlavaError(thrown);
    log.warn({ model, code: error.code, reason: error.message }, "request not relayed");
    relayed.measured.ended(error.code);
    door.refuse(error, reply);
    return;
  }
  const { worker, status } = answer;
  const outcome = await passOn(parts, door, relayed, answer, request, reply, signal);
  relayed.measured.ended(status < 400 || outcome.code !== "ok" ? outcome.code : "refused");
  const ms = Math.round(performance.now() - startedMs);
  log.info({ model, worker: worker.address, status, ...outcome, ms }, "request relayed");
}

/** What the log says of how it ended. */
async function passOn(
  { relay, limits }: RelayParts,
  door: Door,
  relayed: RelayRequest,
  answer: Answer,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<Pick<Outcome, "code">> {
  const { raw: response } = reply;
  const { log } = request;
  const { seam, failureOf } = door;
  const stallMs = limits.readerStallMs;
  try {
    door.check(answer);
    reply.hijack();
    response.writeHead(answer.status, { ...answer.headers, [REQUEST_ID_HEADER]: request.id });
    const transfer = { relay, request: relayed, response, signal, log, stallMs, seam, failureOf };
    return await transferAnswer(transfer, answer);
  } catch (thrown) {
    const error = toLlavaError(thrown);
    log.warn({ worker: answer.worker.address, code: error.code, err: thrown }, "answer broke off");
    if (!reply.sent) door.refuse(error, reply);
    else if (error.code === "cancelled" || !answer.isFramed) response.destroy();
    else await tell(response, door.lastFrame(error), signal, stallMs);
    return { code: error.code };
  } finally {
    answer.close();
  }
}

async function tell(
  response: FastifyReply["raw"],
  lastFrame: string,
  signal: AbortSignal,
  stallMs: number,
): Promise<void> {
  response.end(lastFrame);
  await endResponse(response, signal, stallMs).catch(() => response.destroy());
}
