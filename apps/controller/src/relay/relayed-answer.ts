/** A worker's answer as frames, apart because whoever reads it must learn of every way in which it can break off. */
import { IGNORED_HEADER, LlavaError, parseErrorBody } from "@llava/protocol";
import type { Dispatcher } from "undici";
import { FrameBorder, type Frame, type Framing } from "./frame-splitter.ts";
import type { Worker } from "../registry/registry.ts";
import { bytesOf } from "../fleet/worker-client.ts";

/** An answer of which something is here. Close it in any case. */
export interface Answer {
  readonly worker: Worker;
  readonly status: number;
  /** Those that the client gets too. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether it is a stream of frames; otherwise each frame is just some of its bytes. */
  readonly isFramed: boolean;
  /** Of a stream the first frames, of others all that there is up to 1 MiB; null when the body is empty. */
  readonly first: readonly Frame[] | null;
  /** What follows; throws when the answer breaks off, also when it ends without its last event. */
  readonly rest: Frames;
  /** Ends the connection to the worker if it is still open; once is enough. */
  readonly close: () => void;
}

export type Frames = AsyncGenerator<readonly Frame[], void, undefined>;

const RELAYED_HEADERS = [
  "cache-control",
  "content-type",
  IGNORED_HEADER,
  "retry-after",
  "retry-after-ms",
  "x-accel-buffering",
  "x-should-retry",
];
/** An answer that is no stream is sent on when it is complete, if it is not larger. */
const MAX_WHOLE_BYTES = 1 << 20;
/** A worker ends its connection in the moment after its last frame. */
const DRAIN_MS = 1_000;

/** Waits for the first of an answer whose head is here; closes it when it breaks off before its first frame. */
export async function openAnswer(
  worker: Worker,
  response: Dispatcher.ResponseData,
  framing: Framing,
): Promise<Answer> {
  const { statusCode: status, body } = response;
  // Closing a body in the middle is an error to it, which is of no interest.
  body.on("error", () => undefined);
  const close = (): void => void body.destroy();
  try {
    const isFramed = isFramedAnswer(response, framing);
    const rest = isFramed ? cutFrames(bytesOf(body), framing) : gather(bytesOf(body));
    const first = await nextOf(rest);
    return {
      worker,
      status,
      headers: relayedHeaders(response.headers),
      isFramed,
      first,
      rest,
      close,
    };
  } catch (thrown) {
    close();
    throw thrown;
  }
}

export async function nextOf(frames: Frames): Promise<readonly Frame[] | null> {
  const next = await frames.next();
  return next.done === true ? null : next.value;
}

/** Waits until the worker has closed its complete answer, so that it does not take the client for gone; but not for long. */
export async function drain({ rest }: Answer): Promise<void> {
  const { promise: waited, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, DRAIN_MS);
  const ended = (async () => {
    while ((await nextOf(rest)) !== null);
  })().catch(() => undefined);
  await Promise.race([ended, waited]);
  clearTimeout(timer);
}

/** The bytes of what was here first, as text. */
export function textOfFirst({ first }: Answer): string {
  return Buffer.concat((first ?? []).map(({ bytes }) => bytes)).toString("utf8");
}

/** Whether the answer of a worker is a stream of frames; `worker_lost` when it is nothing that a worker sends. */
function isFramedAnswer({ statusCode, headers }: Dispatcher.ResponseData, framing: Framing): boolean {
  if (statusCode !== 200) return false;
  if (framing === "wire") return true;
  const type = String(headers["content-type"] ?? "")
    .split(";", 1)[0]
    ?.trim()
    .toLowerCase();
  if (type !== "text/event-stream" && type !== "application/json") {
    const shown = JSON.stringify(type?.slice(0, 80));
    throw new LlavaError("worker_lost", `The worker answered with content of the type ${shown}; ask again.`);
  }
  return type === "text/event-stream";
}

function relayedHeaders(headers: Dispatcher.ResponseData["headers"]): Record<string, string> {
  const relayed: Record<string, string> = {};
  for (const name of RELAYED_HEADERS) {
    const value = headers[name];
    if (typeof value === "string") relayed[name] = value;
  }
  return relayed;
}

async function* cutFrames(chunks: AsyncIterable<Uint8Array>, framing: Framing): Frames {
  const border = new FrameBorder(framing);
  let isComplete = false;
  for await (const chunk of chunks) {
    const frames = border.push(chunk);
    yield* sensible(frames);
    isComplete ||= frames.some((frame) => completes(frame, framing));
  }
  const rest = border.rest();
  if (rest?.kind === "end") return yield [rest];
  if (rest !== null || !isComplete) throw brokenOff();
}

/**
 * LLaVA's wire has no last frame; there an answer is complete when its connection was closed in order. One that goes on where
 * nothing was left to say has no more than its head.
 */
function completes({ kind, head }: Frame, framing: Framing): boolean {
  return kind === "end" || kind === "failure" || (framing === "wire" && (kind === "data" || head !== null));
}

function* sensible(frames: readonly Frame[]): Generator<readonly Frame[]> {
  const bad = frames.findIndex(({ kind }) => kind === "nonsense");
  const good = bad < 0 ? frames : frames.slice(0, bad);
  if (good.length > 0) yield good;
  if (bad >= 0) throw new LlavaError("worker_lost", "The worker sent what is no answer; ask again.");
}

async function* gather(chunks: AsyncIterable<Uint8Array>): Frames {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const chunk of chunks) {
    held.push(chunk);
    heldBytes += chunk.length;
    if (heldBytes < MAX_WHOLE_BYTES) continue;
    yield [plainFrame(Buffer.concat(held))];
    held = [];
  }
  if (held.length > 0) yield [plainFrame(Buffer.concat(held))];
}

function plainFrame(bytes: Uint8Array): Frame {
  return { bytes, kind: "data", head: null, tokens: [] };
}

function brokenOff(): LlavaError {
  return new LlavaError("worker_lost", "The worker's answer ended before it was complete; ask again.");
}

/** The error that a worker's JSON tells of; null when it tells of none. */
export function errorIn(json: string): LlavaError | null {
  try {
    return parseErrorBody(JSON.parse(json));
  } catch {
    return null;
  }
}
