/** Sends one client's request and records it for the history; it may read slowly, leave early, or ask for no stream. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { readBody, readSse, SSE_DONE } from "@llava/protocol";
import { z } from "zod";
import type { Asked, Ending } from "./history.ts";
import { MODEL } from "../fleet/proxied-fleet.ts";

export interface Question {
  readonly text: string;
  /** The seed of its sampling; null for greedy decoding. */
  readonly seed: number | null;
  readonly maxTokens: number;
}

export interface ClientBehavior {
  readonly isStream: boolean;
  /** The number of texts after which it leaves; null when it stays. */
  readonly leaveAfter: number | null;
  /** The time after which it leaves, whatever came before. */
  readonly leaveAfterMs?: number;
  /** The time for which it reads nothing after the first text. */
  readonly pauseMs: number;
  /** The time after which it gives up; a server within its limits ends every answer before. */
  readonly timeoutMs: number;
}

export interface Target {
  readonly url: string;
  readonly key: string;
  readonly way: Asked["way"];
}

const chunkSchema = z.object({
  choices: z
    .array(
      z.object({
        delta: z.object({ content: z.string().nullish() }).nullish(),
        message: z.object({ content: z.string() }).nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .default([]),
  error: z.object({ code: z.string() }).nullish(),
});

interface Progress {
  text: string;
  reason: string | null;
  error: string | null;
  isDone: boolean;
  numTerminals: number;
}

/** Never throws: every failure is an ending of the request. */
export async function ask(
  target: Target,
  question: Question,
  index: number,
  behavior: ClientBehavior,
): Promise<Asked> {
  const startMs = performance.now();
  const left = new AbortController();
  const timeout = setTimeout(() => left.abort("timeout"), behavior.timeoutMs);
  const { leaveAfterMs } = behavior;
  const leaving = leaveAfterMs === undefined ? undefined : setTimeout(() => left.abort("left"), leaveAfterMs);
  const progress: Progress = { text: "", reason: null, error: null, isDone: false, numTerminals: 0 };
  let hasRetryAfter = false;
  let ending: Ending;
  try {
    const response = await send(target, question, behavior, left.signal);
    hasRetryAfter = response.headers.has("retry-after");
    if (response.status !== 200) {
      await response.body?.cancel();
      ending = { kind: "refused", status: response.status };
    } else if (behavior.isStream) {
      await readStream(response, progress, behavior, left);
      ending = endingOf(progress);
    } else {
      take(chunkSchema.parse(await response.json()), progress);
      ending = { kind: "whole", reason: progress.reason ?? "none" };
    }
  } catch (thrown) {
    ending =
      left.signal.aborted && left.signal.reason === "left" ? { kind: "left" } : broken(thrown, progress);
  } finally {
    clearTimeout(timeout);
    clearTimeout(leaving);
  }
  const { text, numTerminals } = progress;
  const endMs = performance.now();
  return { startMs, endMs, way: target.way, question: index, text, ending, hasRetryAfter, numTerminals };
}

async function send(
  { url, key }: Target,
  { text, seed, maxTokens }: Question,
  { isStream }: ClientBehavior,
  signal: AbortSignal,
): Promise<Response> {
  const sampling = seed === null ? { temperature: 0 } : { temperature: 2, seed };
  const messages = [{ role: "user", content: text }];
  // Without it bodies would be equal, and a controller that lost two workers over one body asks no worker any more.
  const user = randomUUID();
  const body = { model: MODEL, messages, stream: isStream, max_tokens: maxTokens, user, ...sampling };
  return await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
    signal,
  });
}

async function readStream(
  response: Response,
  progress: Progress,
  { leaveAfter, pauseMs }: ClientBehavior,
  left: AbortController,
): Promise<void> {
  let numTexts = 0;
  for await (const { data } of readSse(readBody(response.body))) {
    if (data === SSE_DONE) {
      progress.isDone = true;
      progress.numTerminals += 1;
      continue;
    }
    const before = progress.text;
    take(chunkSchema.parse(JSON.parse(data)), progress);
    if (progress.text === before) continue;
    numTexts += 1;
    if (numTexts === 1 && pauseMs > 0) await sleep(pauseMs);
    if (leaveAfter === null || numTexts < leaveAfter) continue;
    left.abort("left");
    left.signal.throwIfAborted();
  }
}

function take({ choices, error }: z.infer<typeof chunkSchema>, progress: Progress): void {
  const choice = choices[0];
  progress.text += choice?.delta?.content ?? choice?.message?.content ?? "";
  progress.reason = choice?.finish_reason ?? progress.reason;
  if (!error) return;
  progress.error = error.code;
  progress.numTerminals += 1;
}

function endingOf({ isDone, reason, error }: Progress): Ending {
  if (error !== null) return { kind: "error", code: error };
  // Many clients take an end without an error and without [DONE] for a whole answer.
  return isDone ? { kind: "whole", reason: reason ?? "none" } : { kind: "whole", reason: "silent" };
}

function broken(thrown: unknown, { error }: Progress): Ending {
  if (error !== null) return { kind: "error", code: error };
  const isReset = thrown instanceof TypeError || (thrown instanceof Error && thrown.name === "AbortError");
  return { kind: "error", code: isReset || typeof thrown === "string" ? "connection" : String(thrown) };
}
