import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createClientTable, type ClientTable } from "./rate-limit.ts";

const LIMITS = { requestsPerMinute: 60, burst: 3, concurrent: 2 };

function outcome(table: ClientTable, client: string): "in" | number {
  const place = table.admit(client);
  if ("error" in place) return place.retryAfterMs;
  place.release();
  return "in";
}

test("rate limit: a burst, then one request a second, for each client by itself", () => {
  let nowMs = 0;
  const table = createClientTable(LIMITS, () => nowMs);
  expect([1, 2, 3, 4].map(() => outcome(table, "a"))).toEqual(["in", "in", "in", 1000]);
  expect(outcome(table, "b")).toBe("in");
  nowMs = 400;
  expect(outcome(table, "a")).toBe(600);
  nowMs = 1000;
  expect(outcome(table, "a")).toBe("in");
  nowMs = 1_000_000;
  expect([1, 2, 3, 4].map(() => outcome(table, "a"))).toEqual(["in", "in", "in", 1000]);
});

test("rate limit: each outcome has the requests left and the time until the bucket is full", () => {
  let nowMs = 0;
  const table = createClientTable(LIMITS, () => nowMs);
  expect(table.admit("a")).toMatchObject({ numLeft: 2, fullInMs: 1000 });
  nowMs = 400;
  expect(table.admit("a")).toMatchObject({ numLeft: 1, fullInMs: 1600 });
  // Refused for what runs, which costs nothing.
  expect(table.admit("a")).toMatchObject({ numLeft: 1, fullInMs: 1600, retryAfterMs: 2000 });
  nowMs = 3000;
  expect(table.admit("b")).toMatchObject({ numLeft: 2, fullInMs: 1000 });
});

test("rate limit: a running request takes a place until it is released, once", () => {
  const table = createClientTable({ ...LIMITS, burst: 100 });
  const first = table.admit("a");
  table.admit("a");
  expect(table.admit("a")).toMatchObject({
    error: { code: "rate_limited", status: 429 },
    retryAfterMs: 2000,
  });
  if ("error" in first) throw first.error;
  first.release();
  first.release();
  expect("release" in table.admit("a")).toBe(true);
  expect("error" in table.admit("a")).toBe(true);
});

test("rate limit: the table stays bounded, and a new client never removes a counted one", () => {
  let nowMs = 0;
  const table = createClientTable(LIMITS, () => nowMs);
  const places = Array.from({ length: 5000 }, (_, index) => table.admit(`10.0.${index}`));
  expect(table.size).toBe(4096);
  for (const place of places) if ("release" in place) place.release();
  // Nothing runs, but everybody's last request still counts.
  expect(table.admit("new")).toHaveProperty("error");
  nowMs = 1000;
  expect(table.admit("new")).toHaveProperty("release");
  expect(table.size).toBe(4096);
});

test("rate limit: at random times never more than burst and rate allow, never more at once than the limit", () => {
  const step = fc.record({ afterMs: fc.nat(3000), isRelease: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let nowMs = 0;
      let numIn = 0;
      const running: (() => void)[] = [];
      const table = createClientTable(LIMITS, () => nowMs);
      for (const { afterMs, isRelease } of steps) {
        nowMs += afterMs;
        if (isRelease) running.shift()?.();
        const place = table.admit("a");
        if ("error" in place) continue;
        running.push(place.release);
        numIn += 1;
        expect(running.length).toBeLessThanOrEqual(LIMITS.concurrent);
        expect(numIn).toBeLessThanOrEqual(LIMITS.burst + nowMs / 1000 + 1e-6);
      }
    }),
  );
});
