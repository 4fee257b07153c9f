import { expect, test } from "vitest";
import { createRate } from "./rate.ts";

test("the mean of the last ten seconds, to which what is older adds nothing", () => {
  let nowMs = 5_000_400;
  const rate = createRate(() => nowMs);
  expect(rate.perSecond()).toBe(0);
  rate.add(30);
  nowMs += 1_000;
  rate.add(20);
  expect(rate.perSecond()).toBe(5);
  nowMs += 9_000;
  expect(rate.perSecond()).toBe(5);
  nowMs += 1_000;
  expect(rate.perSecond()).toBe(2);
  nowMs += 1_000;
  expect(rate.perSecond()).toBe(0);
});

test("a long silence leaves nothing behind", () => {
  let nowMs = 0;
  const rate = createRate(() => nowMs);
  rate.add(100);
  nowMs = 86_400_000;
  expect(rate.perSecond()).toBe(0);
  rate.add(10);
  expect(rate.perSecond()).toBe(1);
});
