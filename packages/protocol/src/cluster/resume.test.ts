import { expect, it } from "vitest";

import {
  encodeResumeHead,
  encodeResumeTokens,
  MAX_RESUME_TOKENS,
  parseResumeHead,
  parseResumeTokens,
  resumeSchema,
  SSE_MIGRATED,
} from "./resume.ts";
import { encodeSseJson, SSE_PING, SseParser } from "../codec/sse.ts";

const head = { id: "chatcmpl-0aF", created: 1_700_000_000, seed: -7 };
const line = (text: string): string => text.replace(/\n$/, "");

it("the lines for resuming are read back as they were written", () => {
  expect(encodeResumeHead(head)).toBe(': llava {"id":"chatcmpl-0aF","created":1700000000,"seed":-7}\n');
  expect(parseResumeHead(line(encodeResumeHead(head)))).toEqual(head);
  expect(encodeResumeTokens([17, 905])).toBe(": t 17,905\n");
  expect(parseResumeTokens(line(encodeResumeTokens([17, 905])))).toEqual([17, 905]);
  expect(encodeResumeTokens([])).toBe("");
});

it("the lines for resuming are skipped by readers of server-sent events", () => {
  const block = encodeResumeHead(head) + encodeResumeTokens([1]) + encodeSseJson({ a: 1 });
  const bytes = new TextEncoder().encode(SSE_PING + block + SSE_MIGRATED);
  expect(new SseParser().push(bytes)).toEqual([{ event: "message", data: '{"a":1}' }]);
});

it.each([
  ": ping",
  ": migrated",
  ": t ",
  ": t 1,",
  ": t 1, 2",
  ": t -1",
  ": t 1.5",
  ": t 12345678",
  ": t 1000001",
  ": llava",
  ": llava {",
  ": llava {}",
  ': llava {"id":"a b","created":1,"seed":1}',
  ': llava {"id":"a","created":1,"seed":1.5}',
  'data: {"id":"a","created":1,"seed":1}',
])("%j is no line for resuming", (text) => {
  expect([parseResumeHead(text), parseResumeTokens(text)]).toEqual([null, null]);
});

it("a resume has as many tokens as a context holds, and no other field", () => {
  const full = { ...head, tokens: Array.from({ length: MAX_RESUME_TOKENS }, () => 1) };
  expect(resumeSchema.safeParse(full).success).toBe(true);
  expect(resumeSchema.safeParse({ ...full, tokens: [...full.tokens, 1] }).success).toBe(false);
  expect(resumeSchema.safeParse({ ...head, tokens: [], more: 1 }).success).toBe(false);
});
