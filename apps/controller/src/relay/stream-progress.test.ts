import { expect, it } from "vitest";
import type { Frame } from "./relayed-frame.ts";
import { StreamProgress } from "./stream-progress.ts";

const HEAD = { id: "chatcmpl-1", created: 17, seed: 5 };

function frame(part: Partial<Frame> = {}): Frame {
  return { bytes: new Uint8Array(), kind: "data", head: null, tokens: [], ...part };
}

it("stream progress has the tokens of what the client has", () => {
  const progress = new StreamProgress("events");
  expect(progress.isUntouched).toBe(true);
  progress.add(frame({ kind: "filler" }));
  expect(progress.isUntouched).toBe(true);
  progress.add(frame({ head: HEAD }));
  expect(JSON.parse(progress.resume ?? "")).toEqual({ ...HEAD, tokens: [] });
  progress.add(frame({ tokens: [3] }));
  progress.add(frame({ kind: "filler" }));
  progress.add(frame({ tokens: [4, 5] }));
  expect(progress.isUntouched).toBe(false);
  expect(JSON.parse(progress.resume ?? "")).toEqual({ ...HEAD, tokens: [3, 4, 5] });
});

it("stream progress cannot be continued without a head", () => {
  const progress = new StreamProgress("events");
  progress.add(frame({ tokens: [3] }));
  expect(progress.resume).toBeNull();
});

it("stream progress skips what came after the last tokens, once", () => {
  const progress = new StreamProgress("events");
  for (const part of [{ head: HEAD }, { tokens: [3] }, {}, {}]) progress.add(frame(part));
  expect(progress.has(frame())).toBe(false);
  progress.continued();
  const repeated = [frame({ kind: "filler" }), frame(), frame(), frame(), frame({ kind: "end" })];
  expect(repeated.map((part) => progress.has(part))).toEqual([false, true, true, false, false]);
});

it("stream progress skips nothing of a continuation that begins with tokens", () => {
  const progress = new StreamProgress("events");
  for (const part of [{ head: HEAD, tokens: [3] }, {}]) progress.add(frame(part));
  progress.continued();
  expect([frame({ tokens: [4] }), frame()].map((part) => progress.has(part))).toEqual([false, false]);
});

it("stream progress refuses another answer", () => {
  const progress = new StreamProgress("events");
  progress.add(frame({ head: HEAD }));
  expect(progress.contradiction(frame())).toBeNull();
  for (const head of [null, { ...HEAD, id: "chatcmpl-2" }]) {
    progress.continued();
    expect(progress.contradiction(frame({ kind: "filler" }))).toBeNull();
    expect(progress.contradiction(frame({ head }))).toMatchObject({ code: "worker_lost" });
  }
  progress.continued();
  expect(progress.contradiction(frame({ head: HEAD }))).toBeNull();
});

it("stream progress hands on the last frame of LLaVA's wire as it came", () => {
  const progress = new StreamProgress("wire");
  const wireFrame = (text: string): Uint8Array => Buffer.from(`{"text":"${text}","error_code":0}\0`);
  progress.add(frame({ head: HEAD, bytes: wireFrame("P") }));
  progress.add(frame({ tokens: [3], bytes: wireFrame("P\\u00e9\\\\") }));
  expect(JSON.parse(progress.resume ?? "")).toEqual({
    ...HEAD,
    tokens: [3],
    sent_frame: { text: "Pé\\", error_code: 0 },
  });
  progress.continued();
  expect(progress.contradiction(frame({ kind: "filler", head: HEAD }))).toBeNull();
  expect(progress.contradiction(frame({ tokens: [4] }))).toBeNull();
});
