import { expect, it } from "vitest";
import { type Arrival, windowRate } from "./stream-window.ts";

const every = (step: number, from: number, count: number): Arrival[] =>
  Array.from({ length: count }, (_, i) => ({ at: from + i * step, tokens: 1 }));

it("one stream is measured from its first token, which is not counted, to its last", () => {
  expect(windowRate([every(10, 500, 5)])).toEqual({ from: 500, to: 540, tokens: 4, ms: 40 });
});

it("of several only the time counts in which all are under way", () => {
  const streams = [every(10, 0, 11), every(10, 45, 20)];
  // 50 … 100 of the first, 55 … 95 of the second.
  expect(windowRate(streams)).toEqual({ from: 45, to: 100, tokens: 6 + 5, ms: 55 });
});

it("tokens that come together are all counted", () => {
  const streams = [[...every(10, 0, 2), { at: 20, tokens: 3 }]];
  expect(windowRate(streams)).toMatchObject({ tokens: 4, ms: 20 });
});

it("answers that do not overlap are refused, and so is one without tokens", () => {
  expect(() => windowRate([every(10, 0, 3), every(10, 100, 3)])).toThrow("2 answers were never under way");
  expect(() => windowRate([[]])).toThrow();
});
