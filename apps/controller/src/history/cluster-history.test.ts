import { beforeEach, describe, expect, it } from "vitest";
import { ClusterHistory } from "./cluster-history.ts";
import { percentile } from "./ring-buffer.ts";

let nowMs: number;
let queue: { running: number; waiting: number };
let history: ClusterHistory;
beforeEach(() => {
  nowMs = 5_000_123;
  queue = { running: 0, waiting: 0 };
  history = new ClusterHistory({
    queue: () => queue,
    now: () => nowMs,
    wallClock: () => 1_700_000_000_000 + nowMs,
  });
});

function pass(seconds: number): void {
  for (let left = seconds; left > 0; left--) {
    nowMs += 1_000;
    history.tick();
  }
}

describe("figures", () => {
  it("of a second are in each ring buffer once its step is over", () => {
    pass(9);
    history.tokens(7);
    history.tokens(3);
    history.firstWord(0.5);
    history.ended(false);
    history.ended(true);
    queue = { running: 2, waiting: 1 };
    pass(1);
    const { series } = history;
    expect(series["5m"].tokens_per_s).toEqual([...Array(9).fill(0), 10]);
    expect(series["5m"]).toMatchObject({ step_s: 1, requests: [...Array(9).fill(0), 2] });
    expect(series["5m"].first_word_p95_s.slice(-2)).toEqual([null, 0.5]);
    expect(series["1h"]).toMatchObject({
      step_s: 10,
      tokens_per_s: [1],
      running: [2],
      waiting: [1],
      first_word_p95_s: [0.5],
      requests: [2],
      errors: [1],
    });
    expect(series["24h"].tokens_per_s).toEqual([]);
    pass(50);
    expect(history.series["24h"]).toMatchObject({ tokens_per_s: [0.167], requests: [2] });
  });

  it("are kept as long as the ring buffer is, and no longer", () => {
    history.tokens(60);
    pass(1);
    pass(299);
    expect(history.series["5m"].tokens_per_s[0]).toBe(60);
    pass(1);
    expect(history.series["5m"].tokens_per_s).toEqual(Array(300).fill(0));
    expect(history.series["1h"].tokens_per_s[0]).toBe(6);
    pass(86_400);
    const lengths = Object.values(history.series).map(({ running }) => running.length);
    expect(lengths).toEqual([300, 360, 1_440]);
    expect(history.series["24h"].tokens_per_s[0]).toBe(0);
  });

  it("are zero where the controller stood still", () => {
    history.tokens(5);
    pass(1);
    nowMs += 30_000;
    history.tick();
    expect(history.series["5m"].tokens_per_s).toEqual([5, ...Array(30).fill(0)]);
    nowMs += 10 * 86_400_000;
    history.tick();
    expect(history.series["24h"].tokens_per_s).toHaveLength(1_440);
  });

  it("end when their last step did", () => {
    pass(25);
    nowMs += 400;
    const { series } = history;
    const wallMs = 1_700_000_000_000 + nowMs;
    expect(series["5m"].end_ms).toBe(wallMs - 400);
    expect(series["1h"].end_ms).toBe(wallMs - 5_400);
  });

  it("take the time of a clock that was set", () => {
    let offset = 0;
    const other = new ClusterHistory({
      queue: () => queue,
      now: () => nowMs,
      wallClock: () => 1_700_000_000_000 + nowMs + offset,
    });
    nowMs += 1_000;
    other.tick();
    expect(other.series["5m"].end_ms).toBe(1_700_000_000_000 + nowMs);
    offset = -3_600_000;
    nowMs += 1_000;
    other.tick();
    expect(other.series["5m"].end_ms).toBe(1_700_000_000_000 + nowMs + offset);
  });

  it("are summed up over five minutes, the speed over five seconds", () => {
    for (const seconds of [0.1, 0.2, 0.3, 2]) history.firstWord(seconds);
    history.ended(true);
    history.tokens(100);
    pass(2);
    expect(history.totals).toEqual({
      running: 0,
      waiting: 0,
      tokens_per_s: 20,
      requests: 1,
      errors: 1,
      first_word_p50_s: 0.2,
      first_word_p95_s: 2,
    });
    pass(300);
    expect(history.totals).toMatchObject({ tokens_per_s: 0, requests: 0, first_word_p50_s: null });
  });

  it("hold a thousand first words of a step at most", () => {
    for (let i = 0; i < 5_000; i++) history.firstWord(i < 1_000 ? 1 : 9);
    pass(1);
    expect(history.totals.first_word_p95_s).toBe(1);
  });
});

describe("events", () => {
  it("are listed newest first, the last two hundred", () => {
    for (let i = 1; i <= 250; i++) {
      nowMs += 1;
      history.note({ kind: "left", worker: `http://w${i}` });
    }
    const { events } = history;
    expect(events).toHaveLength(200);
    expect(events[0]).toMatchObject({ id: 250, kind: "left", worker: "http://w250" });
    expect(events[0]?.time_ms).toBe(1_700_000_000_000 + nowMs);
    expect(events.at(-1)).toMatchObject({ id: 51 });
  });
});

it.each<[readonly number[], number, number | null]>([
  [[], 0.95, null],
  [[3], 0.5, 3],
  [[3, 1, 2], 0.5, 2],
  [[4, 1, 3, 2], 0.95, 4],
  [Array.from({ length: 100 }, (_, i) => i + 1), 0.95, 95],
])("percentile of %j at %d", (values, share, expected) => {
  expect(percentile(values, share)).toBe(expected);
});
