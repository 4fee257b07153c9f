/** Reads a worker's answer as frames, and throws for every way in which it can break off. */
import {
  IGNORED_HEADER,
  LlavaError,
  parseErrorBody,
  StreamFrameSplitter,
  type Framing,
} from "@llava/protocol";
import type { Dispatcher } from "undici";
import { readFrame, type Frame } from "./relayed-frame.ts";
import type { Worker } from "../registry/registry.ts";
import { bytesOf } from "../fleet/worker-client.ts";

/** An answer whose first bytes are here. It must be closed in any case. */
export interface RelayedAnswer {
  readonly worker: Worker;
  readonly status: number;
  /** The headers that the client gets too. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the body is a stream of frames; otherwise each frame is just some of its bytes. */
  readonly isFramed: boolean;
  /** The first frames of a stream, or the body of another answer up to 1 MiB; null when the body is empty. */
  readonly first: readonly Frame[] | null;
  /** The frames that follow; throws when the answer breaks off, also when it ends without its last event. */
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
/** The bytes of an answer that is no stream up to which it is sent on only when it is complete. */
const MAX_WHOLE_BYTES = 1 << 20;
/** How long a worker may take to end its connection after its last frame, which it does at once. */
const DRAIN_TIMEOUT_MS = 1_000;

/** Waits for the first frames of an answer whose head is here; closes it when it breaks off before them. */
export async function openAnswer(
  worker: Worker,
  response: Dispatcher.ResponseData,
  framing: Framing,
): Promise<RelayedAnswer> {
  const { statusCode: status, body } = response;
  // A body that is closed before its end emits an error, which does not matter here.
  body.on("error", () => undefined);
  const close = (): void => void body.destroy();
  try {
    const isFramed = isFramedAnswer(response, framing);
    const rest = isFramed ? splitFrames(bytesOf(body), framing) : gather(bytesOf(body));
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

/** Waits, but not for long, until the worker has closed its complete answer: closed before, it would take the client for gone. */
export async function drain({ rest }: RelayedAnswer): Promise<void> {
  const { promise: waited, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, DRAIN_TIMEOUT_MS);
  const ended = (async () => {
    while ((await nextOf(rest)) !== null);
  })().catch(() => undefined);
  await Promise.race([ended, waited]);
  clearTimeout(timer);
}

/** The bytes of an answer's first frames, as text. */
export function textOfFirst({ first }: RelayedAnswer): string {
  return Buffer.concat((first ?? []).map(({ bytes }) => bytes)).toString("utf8");
}

/** Whether the answer of a worker is a stream of frames; throws `worker_lost` when its type is none that workers send. */
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

async function* splitFrames(chunks: AsyncIterable<Uint8Array>, framing: Framing): Frames {
  const splitter = new StreamFrameSplitter(framing);
  let isComplete = false;
  for await (const chunk of chunks) {
    const frames = splitter.push(chunk).map((bytes) => readFrame(bytes, framing));
    yield* withoutNonsense(frames);
    isComplete ||= frames.some((frame) => completes(frame, framing));
  }
  const left = splitter.rest();
  const rest = left === null ? null : readFrame(left, framing);
  if (rest?.kind === "end") return yield [rest];
  if (rest !== null || !isComplete) throw brokenOff();
}

/**
 * Whether an answer with this frame may end behind it. LLaVA's wire has no last frame: there an answer is complete when its
 * connection was closed in order. A continuation for which no text was left has only its head.
 */
function completes({ kind, head }: Frame, framing: Framing): boolean {
  return kind === "end" || kind === "failure" || (framing === "wire" && (kind === "data" || head !== null));
}

/** The frames up to one that no worker sends, which ends the answer with an error. */
function* withoutNonsense(frames: readonly Frame[]): Generator<readonly Frame[]> {
  const bad = frames.findIndex(({ kind }) => kind === "nonsense");
  const good = bad < 0 ? frames : frames.slice(0, bad);
  if (good.length > 0) yield good;
  if (bad >= 0) throw new LlavaError("worker_lost", "The worker sent what is no answer; ask again.");
}

/** The bytes of an answer that is no stream, gathered as far as they may be. */
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

/** The error in a worker's JSON; null when there is none in it. */
export function errorIn(json: string): LlavaError | null {
  try {
    return parseErrorBody(JSON.parse(json));
  } catch {
    return null;
  }
}
