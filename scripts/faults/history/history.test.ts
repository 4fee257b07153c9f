import { expect, it } from "vitest";
import { judge, type Asked, type History, type Rules } from "./history.ts";

const RULES: Rules = { deadlineMs: 1_000, expiryMs: 100, statuses: new Set([429, 503]) };
const GOOD: Asked = {
  startMs: 0,
  endMs: 10,
  way: "relayed",
  question: 0,
  text: "a red bicycle",
  ending: { kind: "whole", reason: "stop" },
  hasRetryAfter: false,
  numTerminals: 1,
};
const EMPTY: History = { asked: [], routed: [], absences: [], answers: ["a red bicycle", "two cats"] };

/** The names of the invariants that a history breaks. */
function broken(history: Partial<History>): string[] {
  const verdicts = judge({ ...EMPTY, ...history }, RULES);
  return verdicts.filter(({ faults }) => faults.length > 0).map(({ name }) => name);
}

it.each<[string, Partial<Asked>]>([
  ["a whole answer", {}],
  ["a beginning and an error", { text: "a red", ending: { kind: "error", code: "worker_lost" } }],
  ["nothing, and left", { text: "", ending: { kind: "left" }, numTerminals: 0 }],
  ["shed with a time", { text: "", ending: { kind: "refused", status: 429 }, hasRetryAfter: true }],
])("a history with %s breaks no invariant", (_name, change) => {
  expect(broken({ asked: [{ ...GOOD, ...change }] })).toEqual([]);
});

it.each<[string, string, Partial<Asked>]>([
  ["an end that comes too late", "I1", { endMs: 1_001 }],
  ["two ends", "I1", { numTerminals: 2 }],
  ["a status that is not allowed", "I1", { text: "", ending: { kind: "refused", status: 500 } }],
  ["a clean end in the middle", "I2 I3", { text: "a red" }],
  ["a gap", "I2 I3", { text: "a bicycle", ending: { kind: "error", code: "worker_lost" } }],
  ["text that comes twice", "I2 I3", { text: "a red red", ending: { kind: "left" } }],
  ["the text of another answer", "I2 I3", { text: "two cats" }],
  ["no time to come again", "I9", { text: "", ending: { kind: "refused", status: 503 } }],
])("a history with %s breaks %s", (_name, invariant, change) => {
  expect(broken({ asked: [{ ...GOOD, ...change }] })).toEqual([invariant]);
});

it("a history with a request to a dead worker breaks I4 I5", () => {
  const death = { address: "a", fromMs: 1_000, toMs: 2_000, isInOrder: false };
  const at = (atMs: number, change: object = {}): string[] =>
    broken({ routed: [{ atMs, address: "a" }], absences: [{ ...death, ...change }] });
  expect(at(999)).toEqual([]);
  expect(at(1_100)).toEqual([]);
  expect(at(1_101)).toEqual(["I4 I5"]);
  expect(at(2_000)).toEqual([]);
  expect(at(1_001, { isInOrder: true })).toEqual(["I4 I5"]);
  expect(at(1_500, { address: "b" })).toEqual([]);
});
