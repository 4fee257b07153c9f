import { expect, test } from "vitest";
import { learningRateAt } from "./schedule.ts";

const SCHEDULE = { peak: 2, warmup: 0.1, floor: 0.25, steps: 100 };

test("warms up in a line, stays below the peak, and comes down half a cosine to the floor", () => {
  const rates = Array.from({ length: 100 }, (_, step) => learningRateAt(step, SCHEDULE));
  expect(rates.slice(0, 10)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((step) => (2 * step) / 10));
  expect(rates[10]).toBe(2);
  // Half way down is half way between peak and floor.
  expect(rates[55]).toBeCloseTo(1.25, 10);
  for (let step = 11; step < 100; step++) expect(rates[step]).toBeLessThan(rates[step - 1] ?? 0);
  expect(rates[99]).toBeGreaterThan(0.5);
  expect(learningRateAt(100, SCHEDULE)).toBeCloseTo(0.5, 10);
  expect(learningRateAt(500, SCHEDULE)).toBeCloseTo(0.5, 10);
});

test("never starts at zero, however short the run", () => {
  expect(learningRateAt(0, { ...SCHEDULE, steps: 1 })).toBe(2);
  expect(learningRateAt(0, { peak: 1, warmup: 0, floor: 0, steps: 3 })).toBe(1);
  for (let steps = 1; steps < 30; steps++) {
    for (let step = 0; step < steps; step++) {
      const rate = learningRateAt(step, { ...SCHEDULE, steps });
      expect(rate).toBeGreaterThan(0);
      expect(rate).toBeLessThanOrEqual(2);
    }
  }
});
