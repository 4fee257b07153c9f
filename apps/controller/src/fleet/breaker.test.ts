import * as fc from "fast-check";
import { expect, it } from "vitest";
import { admit, afterFailure, afterUndecided, afterSuccess, CLOSED, type Breaker } from "./breaker.ts";

const RULES = { maxFailures: 5, windowMs: 60_000, openMs: 30_000, successesToClose: 2 };

function failing(times: readonly number[]): Breaker {
  return times.reduce((breaker, ms) => afterFailure(breaker, ms, RULES), CLOSED);
}

function admitted(breaker: Breaker, nowMs: number): Breaker {
  const next = admit(breaker, nowMs);
  if (next === null) throw new Error(`nothing is let through at ${nowMs}`);
  return next;
}

it("a breaker opens at the fifth failure within a minute", () => {
  expect(failing([0, 1, 2, 3]).state).toBe("closed");
  expect(failing([0, 1, 2, 3, 59_999])).toEqual({ state: "open", untilMs: 89_999 });
  expect(failing([0, 1, 2, 3, 60_000]).state).toBe("closed");
});

it("a breaker lets one request through after half a minute, and closes after two successes", () => {
  const open = failing([0, 0, 0, 0, 0]);
  expect(admit(open, 29_999)).toBeNull();
  const first = admitted(open, 30_000);
  expect(admit(first, 30_000)).toBeNull();
  const second = admitted(afterSuccess(first, RULES), 30_001);
  expect(admit(second, 30_001)).toBeNull();
  expect(afterSuccess(second, RULES)).toEqual(CLOSED);
});

it("a breaker opens again when the trial fails, and tries again when it was undecided", () => {
  const trial = admitted(failing([0, 0, 0, 0, 0]), 40_000);
  expect(afterFailure(trial, 40_001, RULES)).toEqual({ state: "open", untilMs: 70_001 });
  expect(admit(afterUndecided(trial), 40_001)).not.toBeNull();
});

it("a breaker never lets two requests try at once, always opens, and never stays open for ever", () => {
  const step = fc.record({
    act: fc.constantFrom("ask", "success", "failure", "nothing"),
    passedMs: fc.integer({ min: 0, max: 20_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let breaker: Breaker = CLOSED;
      let nowMs = 0;
      let recentMs: number[] = [];
      let numTrying = 0;
      for (const { act, passedMs } of steps) {
        nowMs += passedMs;
        const before: Breaker = breaker;
        if (act === "ask") {
          const next = admit(before, nowMs);
          if (next?.state === "half-open") numTrying += 1;
          breaker = next ?? before;
        } else if (before.state === "half-open" && numTrying === 0) continue;
        else if (act === "success") breaker = afterSuccess(before, RULES);
        else if (act === "nothing") breaker = afterUndecided(before);
        else breaker = afterFailure(before, nowMs, RULES);
        if (act !== "ask" && before.state === "half-open") numTrying = 0;
        expect(numTrying).toBeLessThanOrEqual(1);
        if (before.state === "closed" && act === "failure") {
          recentMs = [...recentMs.filter((ms) => ms > nowMs - RULES.windowMs), nowMs];
          expect(breaker.state).toBe(recentMs.length >= RULES.maxFailures ? "open" : "closed");
        }
        if (breaker.state !== "closed") recentMs = [];
        if (breaker.state === "open") expect(admit(breaker, nowMs + RULES.openMs)).not.toBeNull();
      }
    }),
  );
});
