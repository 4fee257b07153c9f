import { chatTimings, chatUsage } from "@llava/protocol";
import { expect, test } from "vitest";

import { timingsLine } from "./timings-line.ts";

const timings = chatTimings({ queueMs: 2, encodeMs: 60, prefillMs: 90, decodeMs: 500, firstTokenMs: 312 });

function usage(completionTokens: number): ReturnType<typeof chatUsage> {
  return chatUsage({ promptTokens: 90, imageTokens: 64, cachedTokens: 0, completionTokens });
}

test("timings line: time to the first word, rate of the words after it, number of tokens", () => {
  expect(timingsLine({ reason: "stop", usage: usage(26), timings })).toBe(
    "first word after 0.31 s · 50 tokens/s · 26 tokens",
  );
});

test("timings line: one token has no rate; the longest length is mentioned", () => {
  expect(timingsLine({ reason: "length", usage: usage(1), timings })).toBe(
    "first word after 0.31 s · 1 token · ended at the longest length allowed",
  );
});

test("timings line: values that the server did not send are left out", () => {
  expect(timingsLine({ reason: "stop", usage: null, timings: null })).toBe("");
});
