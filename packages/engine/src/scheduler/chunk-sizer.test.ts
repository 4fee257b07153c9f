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

it("prompt chunks are whole while no sequence decodes, or nothing is measured", () => {
  const sizer = new ChunkSizer();
  expect([sizer.chunkTokens(false), sizer.chunkTokens(true)]).toEqual([CHUNK_TOKENS, CHUNK_TOKENS]);
  sizer.record(decode(1), 10, 1);
  sizer.record(prefill(10), 100, 0);
  expect(sizer.chunkTokens(false)).toBe(CHUNK_TOKENS);
});

it.each([
  [100, 1, 128],
  [100, 5, 32],
  [10, 10, 16],
  [10, 0.001, CHUNK_TOKENS],
])("with steps of %d ms and %d ms a position, a chunk is of %d", (stepMs, positionMs, expected) => {
  const sizer = new ChunkSizer();
  sizer.record(decode(4), stepMs, 1);
  sizer.record(prefill(64), 64 * positionMs, 0);
  expect(sizer.chunkTokens(true)).toBe(expected);
});

it("drafts go on as long as tokens come faster with them, then pause, then are tried again", () => {
  const sizer = new ChunkSizer();
  expect(sizer.draftTokens()).toBeGreaterThan(0);
  sizer.record(decode(1), 10, 1);
  for (let i = 0; i < 20; i++) sizer.record(verify, 20, 3);
  expect(sizer.draftTokens()).toBeGreaterThan(0);
  for (let i = 0; i < 20; i++) sizer.record(verify, 20, 1);
  expect(sizer.draftTokens()).toBe(0);
  let steps = 0;
  for (; sizer.draftTokens() === 0; steps++) sizer.record(decode(1), 10, 1);
  expect(steps).toBeGreaterThan(10);
});

it("there are no drafts where they are switched off", () => {
  expect(new ChunkSizer({ drafts: false }).draftTokens()).toBe(0);
});
