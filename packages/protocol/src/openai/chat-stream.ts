/**
 * Reads a streamed chat answer for its clients (the command line, the scripts and the tests), which all see the same end:
 * exactly one `finished` or `error`, whatever the network does.
 */
import { z } from "zod";

import { parseErrorBody, type ChatTimings, type ChatUsage, type FinishReason } from "./completion.ts";
import { LlavaError, toLlavaError } from "../codec/errors.ts";
import { readSse, SSE_DONE } from "../codec/sse.ts";

export type ChatEvent =
  | { readonly type: "text-delta"; readonly text: string }
  | {
      readonly type: "finished";
      readonly reason: FinishReason;
      readonly usage: ChatUsage | null;
      readonly timings: ChatTimings | null;
    }
  | { readonly type: "error"; readonly error: LlavaError };

const count = z.number();
const chunkSchema = z.object({
  choices: z.array(
    z.object({
      index: z.number().default(0),
      delta: z.object({ content: z.string().nullish() }).nullish(),
      finish_reason: z.enum(["stop", "length"]).nullish(),
    }),
  ),
  usage: z
    .object({
      prompt_tokens: count,
      completion_tokens: count,
      total_tokens: count,
      prompt_tokens_details: z
        .object({ cached_tokens: count.default(0), image_tokens: count.default(0) })
        .default({ cached_tokens: 0, image_tokens: 0 }),
    })
    .nullish(),
  timings: z
    .object({
      queue_ms: count,
      encode_ms: count,
      prefill_ms: count,
      decode_ms: count,
      first_token_ms: count,
    })
    .nullish(),
});

/** The events of a response's body. It never throws: a broken connection or an end without a reason is an `error` event. */
export async function* readChatStream(
  stream: AsyncIterable<Uint8Array>,
): AsyncGenerator<ChatEvent, void, undefined> {
  let reason: FinishReason | null = null;
  let usage: ChatUsage | null = null;
  let timings: ChatTimings | null = null;
  try {
    for await (const { data } of readSse(stream)) {
      if (data === SSE_DONE) break;
      const chunk = parseChunk(data);
      usage = chunk.usage ?? usage;
      timings = chunk.timings ?? timings;
      // This reads the first one of several answers.
      const choice = chunk.choices.find(({ index }) => index === 0);
      if (choice === undefined) continue;
      const text = choice.delta?.content ?? "";
      if (text !== "") yield { type: "text-delta", text };
      reason = choice.finish_reason ?? reason;
    }
  } catch (thrown) {
    yield { type: "error", error: streamError(thrown) };
    return;
  }
  if (reason === null) yield { type: "error", error: brokenStream() };
  else yield { type: "finished", reason, usage, timings };
}

/** The chunk in one event's data; throws the error that is in its place. */
function parseChunk(data: string): z.infer<typeof chunkSchema> {
  const body = parseJson(data);
  const error = parseErrorBody(body);
  if (error !== null) throw error;
  const chunk = chunkSchema.safeParse(body);
  if (!chunk.success) throw brokenStream(chunk.error);
  return chunk.data;
}

function parseJson(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch (cause) {
    throw brokenStream(cause);
  }
}

function streamError(thrown: unknown): LlavaError {
  if (thrown instanceof LlavaError) return thrown;
  const isAbort = thrown instanceof Error && thrown.name === "AbortError";
  if (isAbort) return new LlavaError("cancelled", "The answer was stopped.", { cause: thrown });
  return thrown instanceof TypeError ? brokenStream(thrown) : toLlavaError(thrown);
}

function brokenStream(cause?: unknown): LlavaError {
  return new LlavaError("worker_lost", "The answer broke off before its end. Ask again.", { cause });
}
