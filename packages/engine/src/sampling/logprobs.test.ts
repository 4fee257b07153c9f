import { array, assert, constantFrom, double, integer, oneof, property } from "fast-check";
import { expect, it } from "vitest";
import { tokenLogprobs } from "./logprobs.ts";

const someLogits = array(oneof(double({ min: -30, max: 30, noNaN: true }), constantFrom(0, 1, -Infinity)), {
  minLength: 1,
  maxLength: 60,
})
  .map((values) => Float32Array.from(values))
  .filter((logits) => logits.some(Number.isFinite));

it("logprobs are the logarithms of the softmax, and the likeliest tokens come in order", () => {
  assert(
    property(someLogits, integer({ min: 0, max: 59 }), integer({ min: 0, max: 20 }), (logits, at, top) => {
      const id = at % logits.length;
      const told = tokenLogprobs(logits, id, top);
      const whole = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
      const probability = (of: number): number => Math.exp(logits[of] ?? 0) / whole;
      expect(told.id).toBe(id);
      expect(Math.exp(told.logprob)).toBeCloseTo(probability(id), 9);
      const sorted = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
      expect(told.top.map((other) => other.id)).toEqual(sorted.slice(0, top));
      for (const other of told.top) expect(Math.exp(other.logprob)).toBeCloseTo(probability(other.id), 9);
    }),
    { numRuns: 300 },
  );
});

it("logprobs of very large logits are numbers", () => {
  expect(tokenLogprobs(Float32Array.of(1e30, 0), 1, 1)).toEqual({
    id: 1,
    logprob: -Math.fround(1e30),
    top: [{ id: 0, logprob: 0 }],
  });
});
