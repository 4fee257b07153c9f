/**
 * An answer on its way from a worker to the client, and on from another worker when the first one breaks off. Apart
 * because here alone it is known what the client has, which is what a continuation must go on from.
 */
import type { ServerResponse } from "node:http";
import { LlavaError, type ErrorCode } from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import { drain, nextOf, type Answer } from "./relayed-answer.ts";
import { endResponse, writeAll } from "./client-writer.ts";
import type { Frame } from "./frame-splitter.ts";
import { Progress } from "./stream-progress.ts";
import type { Relay, RelayRequest } from "./relay.ts";

export interface Transfer {
  readonly relay: Relay;
  readonly request: RelayRequest;
  readonly response: ServerResponse;
  readonly signal: AbortSignal;
  readonly log: FastifyBaseLogger;
  /** How long the client may read nothing. */
  readonly stallMs: number;
  /** Written between the frames of two workers; nothing when empty. */
  readonly seam: string;
  /** The error that a frame of the kind `failure` tells of; null when it cannot be read. */
  readonly failureOf: (frame: Frame) => LlavaError | null;
}

/** How an answer ended, for the log. */
export interface Outcome {
  /** Of the error that its last frame told of. */
  readonly code: ErrorCode | "ok";
  /** The one that wrote the last frame. */
  readonly worker: string;
  readonly numMoves: number;
}

/** A request that ends one worker after another is stopped before it ends them all. */
const MAX_MOVES = 3;
/** Failures of which another worker knows nothing; other ones lie in the request, or in a limit that it met. */
const MOVABLE: ReadonlySet<ErrorCode> = new Set([
  "worker_lost",
  "shutting_down",
  "runtime_failure",
  "out_of_memory",
  "overloaded",
  "queue_timeout",
]);

/**
 * Passes on what is left of `first`, whose head was sent, and closes it. Resolves when the client has all; throws what
 * the client must be told of instead, or `cancelled`. It has only whole frames then.
 */
export async function transferAnswer(transfer: Transfer, first: Answer): Promise<Outcome> {
  const { relay, request, response, signal, log } = transfer;
  const progress = new Progress(request.framing);
  let answer = first;
  let numMoves = 0;
  try {
    while (true) {
      const ending = await passOn(transfer, answer, progress);
      if (!(ending instanceof LlavaError)) {
        await finish(transfer, answer);
        if (ending === "ok" && answer.status === 200) await relay.served(request);
        return { code: ending, worker: answer.worker.address, numMoves };
      }
      answer.close();
      const canMove = answer.isFramed && numMoves < MAX_MOVES && MOVABLE.has(ending.code);
      if (!canMove || signal.aborted) throw ending;
      const lost = answer.worker;
      const next = await relay.reopen(request, progress, lost, signal, log);
      if (next === null) throw ending;
      answer = next;
      numMoves += 1;
      request.measured.moved(lost, next.worker, ending.code);
      log.warn(
        { from: lost.address, to: next.worker.address, code: ending.code, err: ending },
        "answer goes on from another worker",
      );
      if (progress.isUntouched) continue;
      progress.continued();
      if (transfer.seam !== "")
        await writeAll(response, [Buffer.from(transfer.seam)], signal, transfer.stallMs);
    }
  } finally {
    answer.close();
  }
}

/** Writes an answer's frames up to its end. Returns the error when another worker should go on from there. */
async function passOn(
  transfer: Transfer,
  answer: Answer,
  progress: Progress,
): Promise<LlavaError | Outcome["code"]> {
  const { relay, response, signal, stallMs } = transfer;
  let hasSpoken = false;
  const fault = (thrown: unknown): LlavaError =>
    relay.fault(thrown, answer.worker, transfer.request, signal, hasSpoken);
  for (let frames = answer.first; frames !== null;) {
    const pieces: Uint8Array[] = [];
    let ending: LlavaError | Outcome["code"] | null = null;
    for (const frame of frames) {
      const strayed = progress.contradiction(frame);
      const failure = frame.kind === "failure" ? transfer.failureOf(frame) : null;
      if (strayed !== null) ending = fault(strayed);
      else if (failure !== null && MOVABLE.has(failure.code)) ending = fault(failure);
      else if (progress.has(frame)) continue;
      else {
        pieces.push(frame.bytes);
        progress.add(frame);
        if (answer.isFramed) transfer.request.measured.frame(frame);
        hasSpoken ||= frame.kind === "data";
        if (frame.kind === "end") ending = "ok";
        if (frame.kind === "failure") ending = failure?.code ?? "internal";
      }
      if (ending !== null) break;
    }
    await writeAll(response, pieces, signal, stallMs);
    if (ending !== null) return ending;
    try {
      frames = await nextOf(answer.rest);
    } catch (thrown) {
      return fault(thrown);
    }
  }
  return "ok";
}

/** Ends the response; the worker's place is free before a slow client has read the rest. */
async function finish({ response, signal, stallMs }: Transfer, answer: Answer): Promise<void> {
  const ended = endResponse(response, signal, stallMs);
  await Promise.all([ended, drain(answer).then(answer.close)]);
}
