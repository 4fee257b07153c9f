import { expect, it } from "vitest";

import { readChatStream, type ChatEvent } from "./chat-stream.ts";
import {
  chatUsage,
  completionHead,
  errorBody,
  finishChunk,
  parseErrorBody,
  retryHeaders,
  roleChunk,
  textChunk,
  usageChunk,
} from "./completion.ts";
import { LlavaError } from "../codec/errors.ts";
import { encodeSse, encodeSseJson, SSE_DONE, SSE_PING } from "../codec/sse.ts";

const head = completionHead("m");
const usage = chatUsage({ promptTokens: 10, imageTokens: 4, cachedTokens: 0, completionTokens: 2 });
const timings = { queue_ms: 0, encode_ms: 1, prefill_ms: 2, decode_ms: 3, first_token_ms: 4 };

async function* bytesOf(...pieces: readonly (string | Error)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    if (typeof piece !== "string") throw piece;
    yield new TextEncoder().encode(piece);
  }
}

async function eventsOf(...pieces: readonly (string | Error)[]): Promise<ChatEvent[]> {
  const events: ChatEvent[] = [];
  for await (const event of readChatStream(bytesOf(...pieces))) events.push(event);
  return events;
}

it("readChatStream reads the text and the end of a whole answer", async () => {
  const events = await eventsOf(
    encodeSseJson(roleChunk(head)),
    SSE_PING,
    encodeSseJson(textChunk(head, "red")),
    encodeSseJson(finishChunk(head, "stop", timings)),
    encodeSseJson(usageChunk(head, usage)),
    encodeSse(SSE_DONE),
  );
  expect(events).toEqual([
    { type: "text-delta", text: "red" },
    { type: "finished", reason: "stop", usage, timings },
  ]);
});

it("readChatStream ends in the error that is in the stream", async () => {
  const error = new LlavaError("worker_lost", "The worker went away.");
  const events = await eventsOf(encodeSseJson(textChunk(head, "re")), encodeSseJson(errorBody(error)));
  expect(events.at(-1)).toMatchObject({
    type: "error",
    error: { code: "worker_lost", message: "The worker went away." },
  });
  expect(events).toHaveLength(2);
});

it.each([
  ["ends without a reason", [encodeSseJson(textChunk(head, "re"))], "worker_lost"],
  ["is not JSON", [encodeSse("{")], "worker_lost"],
  ["has another shape", [encodeSse('{"choices":5}')], "worker_lost"],
  ["breaks", [encodeSseJson(textChunk(head, "re")), new TypeError("terminated")], "worker_lost"],
  ["is aborted", [new DOMException("stop", "AbortError")], "cancelled"],
])("readChatStream ends in one error when the stream %s", async (_what, pieces, code) => {
  const events = await eventsOf(...pieces);
  expect(events.filter(({ type }) => type !== "text-delta")).toMatchObject([
    { type: "error", error: { code } },
  ]);
});

it("error bodies have OpenAI's shape and are read back", () => {
  const error = new LlavaError("overloaded", "All slots are taken; try again.");
  expect(errorBody(error)).toEqual({
    error: {
      message: "All slots are taken; try again.",
      type: "rate_limit_error",
      code: "overloaded",
      param: null,
    },
  });
  expect(parseErrorBody(errorBody(error))).toMatchObject({ code: "overloaded", message: error.message });
  expect(parseErrorBody({ error: { message: "m", code: "other" } })?.code).toBe("internal");
  expect(parseErrorBody({ detail: "m" })).toBeNull();
});

it("retry headers tell clients when to try again", () => {
  expect(retryHeaders(new LlavaError("no_worker", "x"))).toEqual({
    "retry-after": "1",
    "retry-after-ms": "1000",
  });
  expect(retryHeaders(new LlavaError("invalid_checkpoint", "x"))).toEqual({ "x-should-retry": "false" });
  expect(retryHeaders(new LlavaError("invalid_request", "x"))).toEqual({});
});
