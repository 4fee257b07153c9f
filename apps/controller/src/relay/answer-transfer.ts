/**
 * Passes an answer on from a worker to the client, and goes on from another worker when the first one breaks off. Only here
 * it is known what the client has, which is where a continuation must go on.
 */
import type { ServerResponse } from "node:http";
import { LlavaError, type ErrorCode } from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import { drain, nextOf, type RelayedAnswer } from "./relayed-answer.ts";
import { endResponse, writeAll } from "./client-writer.ts";
import type { Frame } from "./relayed-frame.ts";
import { StreamProgress } from "./stream-progress.ts";
import type { Relay } from "./relay.ts";
import type { RelayRequest } from "./relay-request.ts";

export interface AnswerTransfer {
  readonly relay: Relay;
  readonly request: RelayRequest;
  readonly response: ServerResponse;
  readonly signal: AbortSignal;
  readonly log: FastifyBaseLogger;
  /** How many milliseconds the client may read nothing. */
  readonly stallMs: number;
  /** The frame that is written between the frames of two workers; empty for none. */
  readonly separator: string;
  /** Reads the error from a frame of the kind `failure`; null when it cannot be read. */
  readonly failureOf: (frame: Frame) => LlavaError | null;
}

/** How an answer ended, for the log. */
export interface Outcome {
  /** The code of the error in its last frame, or `ok`. */
  readonly code: ErrorCode | "ok";
  /** The address of the worker that wrote the last frame. */
  readonly worker: string;
  /** How often another worker had to go on. */
  readonly numMoves: number;
}

/** A request that crashes one worker after another is stopped before it has crashed them all. */
const MAX_MOVES = 3;
/** The failures that another worker need not have; all others are caused by the request, or by a limit that it met. */
const MOVABLE: ReadonlySet<ErrorCode> = new Set([
  "worker_lost",
  "shutting_down",
  "runtime_failure",
  "out_of_memory",
  "overloaded",
  "queue_timeout",
]);

/**
 * Passes on what is left of `first`, whose head was sent, and closes it. Resolves when the client has all of it. Throws the
 * error that the client must get instead, or `cancelled`; the client has whole frames only then.
 */
export async function transferAnswer(transfer: AnswerTransfer, first: RelayedAnswer): Promise<Outcome> {
  const { relay, request, response, signal, log } = transfer;
  const progress = new StreamProgress(request.framing);
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
      if (transfer.separator !== "")
        await writeAll(response, [Buffer.from(transfer.separator)], signal, transfer.stallMs);
    }
  } finally {
    answer.close();
  }
}

/** Writes an answer's frames up to its end. Returns the error when another worker should go on from there. */
async function passOn(
  transfer: AnswerTransfer,
  answer: RelayedAnswer,
  progress: StreamProgress,
): Promise<LlavaError | Outcome["code"]> {
  const { relay, response, signal, stallMs } = transfer;
  let hasStreamed = false;
  const fault = (thrown: unknown): LlavaError =>
    relay.attempts.fault(thrown, answer.worker, transfer.request, signal, hasStreamed);
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
        hasStreamed ||= frame.kind === "data";
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

/** Ends the response; the worker can take another request before a slow client has read the rest. */
async function finish({ response, signal, stallMs }: AnswerTransfer, answer: RelayedAnswer): Promise<void> {
  const ended = endResponse(response, signal, stallMs);
  await Promise.all([ended, drain(answer).then(answer.close)]);
}
