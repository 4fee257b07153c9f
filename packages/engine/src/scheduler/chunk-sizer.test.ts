import { expect, it } from "vitest";
import { CHUNK_TOKENS, ChunkSizer } from "./chunk-sizer.ts";
import type { Plan } from "./scheduler.ts";
import type { Sequence } from "./sequence.ts";

const sequence = {} as Sequence;
const prefill = (tokens: number): Plan => ({ kind: "prefill", sequence, from: 0, to: tokens });
const decode = (count: number): Plan => ({
  kind: "decode",
  sequences: Array.from({ length: count }, () => sequence),
});
const verify: Plan = { kind: "verify", sequence, draft: [1, 2, 3, 4] };

it("gives a prompt whole chunks while nobody waits for a token, or nothing is known", () => {
  const pace = new ChunkSizer();
  expect([pace.chunkTokens(false), pace.chunkTokens(true)]).toEqual([CHUNK_TOKENS, CHUNK_TOKENS]);
  pace.record(decode(1), 10, 1);
  pace.record(prefill(10), 100, 0);
  expect(pace.chunkTokens(false)).toBe(CHUNK_TOKENS);
});

it.each([
  [100, 1, 128],
  [100, 5, 32],
  [10, 10, 16],
  [10, 0.001, CHUNK_TOKENS],
])("with steps of %d ms and %d ms a position, a chunk is of %d", (stepMs, positionMs, expected) => {
  const pace = new ChunkSizer();
  pace.record(decode(4), stepMs, 1);
  pace.record(prefill(64), 64 * positionMs, 0);
  expect(pace.chunkTokens(true)).toBe(expected);
});

it("guesses on as long as tokens come faster so, then pauses, then tries again", () => {
  const pace = new ChunkSizer();
  expect(pace.draftTokens()).toBeGreaterThan(0);
  pace.record(decode(1), 10, 1);
  for (let i = 0; i < 20; i++) pace.record(verify, 20, 3);
  expect(pace.draftTokens()).toBeGreaterThan(0);
  for (let i = 0; i < 20; i++) pace.record(verify, 20, 1);
  expect(pace.draftTokens()).toBe(0);
  let steps = 0;
  for (; pace.draftTokens() === 0; steps++) pace.record(decode(1), 10, 1);
  expect(steps).toBeGreaterThan(10);
});
