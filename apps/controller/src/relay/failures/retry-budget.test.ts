import { expect, it } from "vitest";
import { createRetryBudget } from "./retry-budget.ts";

it("the retry budget gives ten at once, then one for every five requests", () => {
  const budget = createRetryBudget(() => 0);
  expect(Array.from({ length: 12 }, budget.spend)).toEqual([...Array(10).fill(true), false, false]);
  for (let count = 0; count < 11; count += 1) budget.earn();
  expect([budget.spend(), budget.spend(), budget.spend()]).toEqual([true, true, false]);
});

it("the retry budget gives ten a second without requests, and saves no more than a hundred", () => {
  let nowMs = 0;
  const budget = createRetryBudget(() => nowMs);
  while (budget.spend());
  nowMs += 200;
  expect([budget.spend(), budget.spend(), budget.spend()]).toEqual([true, true, false]);
  nowMs += 3_600_000;
  let given = 0;
  while (budget.spend()) given += 1;
  expect(given).toBe(10);
  for (let count = 0; count < 10_000; count += 1) budget.earn();
  given = 0;
  while (budget.spend()) given += 1;
  expect(given).toBe(100);
});
