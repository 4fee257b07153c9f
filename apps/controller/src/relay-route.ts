/** From an incoming request to `Relay` and back to the client, apart because LLaVA's and OpenAI's route share all but their words. */
import type { ServerResponse } from "node:http";
import { LlavaError, REQUEST_ID_HEADER, toLlavaError } from "@llava/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";
import { bytesOfBody } from "./body.ts";
import { findModel } from "./model-field.ts";
import type { Answer, Relay } from "./relay.ts";
import type { Streams } from "./streams.ts";

/** What differs between the two doors. */
export interface Door {
  /** The path on the worker. */
  readonly path: string;
  /** Throws when this answer must not be passed on. */
  readonly check: (answer: Answer) => void;
  /** The byte that ends a frame of this answer, or null when it has none. */
  readonly delimiter: (answer: Answer) => number | null;
  /** Says that it failed before anything was sent. May throw instead, for the error handler. */
  readonly refuse: (error: LlavaError, reply: FastifyReply) => void;
  /** Says that it failed after whole frames (`delimiter` not null) or some bytes were sent, and ends the response. */
  readonly breakOff: (error: LlavaError, response: ServerResponse, delimiter: number | null) => void;
}

/** A handler that relays to `door.path` of a worker that has the body's `model`. */
export function relayHandler(
  relay: Relay,
  streams: Streams,
  door: Door,
): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply> {
  return async (request, reply) => {
    const model = findModel(bytesOfBody(request));
    await streams.run(reply.raw, (signal) => relayOnce(relay, door, model, request, reply, signal));
    return reply;
  };
}

async function relayOnce(
  relay: Relay,
  door: Door,
  model: string,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<void> {
  const startedMs = performance.now();
  const { log } = request;
  let answer: Answer;
  try {
    const headers = { "content-type": "application/json", [REQUEST_ID_HEADER]: request.id };
    answer = await relay.open({ model, path: door.path, body: bytesOfBody(request), headers }, signal, log);
  } catch (thrown) {
    const error = toLlavaError(thrown);
    log.warn({ model, code: error.code, reason: error.message }, "request not relayed");
    door.refuse(error, reply);
    return;
  }
  const code = await passOn(relay, door, answer, request, reply, signal).finally(answer.close);
  const ms = Math.round(performance.now() - startedMs);
  log.info({ model, worker: answer.worker.address, status: answer.status, code, ms }, "request relayed");
}

/** The code of the error that ended it, or "ok". */
async function passOn(
  relay: Relay,
  door: Door,
  answer: Answer,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<string> {
  const delimiter = door.delimiter(answer);
  try {
    door.check(answer);
    reply.hijack();
    await relay.send(answer, reply.raw, { [REQUEST_ID_HEADER]: request.id }, delimiter, signal);
    await ended(reply.raw);
    return "ok";
  } catch (thrown) {
    const error = toLlavaError(thrown);
    request.log.warn({ worker: answer.worker.address, code: error.code, err: thrown }, "answer broke off");
    if (!reply.sent) door.refuse(error, reply);
    else if (error.code === "cancelled") reply.raw.destroy();
    else door.breakOff(error, reply.raw, delimiter);
    return error.code;
  }
}

/** Ends the response; resolves when its last byte is handed over or its client is gone. */
async function ended(response: ServerResponse): Promise<void> {
  if (response.destroyed) return;
  await new Promise<void>((resolve) => {
    response.once("close", resolve);
    response.end(resolve);
  });
}
