import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Progress, type ProgressReport } from "./training-progress.ts";

const REPORT: ProgressReport = {
  title: "Vision tower",
  step: 1,
  steps: 100,
  samplesPerStep: 32,
  flopsPerStep: 50e9,
  loss: 2.5,
  learningRate: 1e-3,
};

function stream(isTTY: boolean): {
  readonly isTTY: boolean;
  readonly written: string[];
  write: (text: string) => boolean;
} {
  const written: string[] = [];
  return { isTTY, written, write: (text) => written.push(text) > 0 };
}

beforeEach(() => vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => vi.useRealTimers());

test("tells loss, samples and arithmetic per second, and the time left, of the steps that this run has done", () => {
  const out = stream(true);
  const progress = new Progress(out);
  vi.advanceTimersByTime(500);
  // Resumed: 39 steps were done before.
  progress.update({ ...REPORT, step: 40 });
  vi.advanceTimersByTime(500);
  progress.update({ ...REPORT, step: 41 });
  const line = out.written.at(-1) ?? "";
  expect(line).toContain("41/100");
  expect(line).toContain("loss 2.5000");
  expect(line).toContain("lr 1.0e-3");
  expect(line).toContain("64.0 samples/s");
  expect(line).toContain("100 GFLOP/s");
  expect(line).toContain("30 s left");
});

test("draws one line over and over on a terminal, and ends it at the last step", () => {
  const out = stream(true);
  const progress = new Progress(out);
  for (let step = 1; step <= 100; step++) progress.update({ ...REPORT, step });
  expect(out.written).toHaveLength(100);
  expect(out.written.every((line) => line.startsWith("\r"))).toBe(true);
  expect(out.written.filter((line) => line.endsWith("\n"))).toEqual(out.written.slice(-1));
  expect(out.written[49]).toContain(`${"█".repeat(12)}${"░".repeat(12)}`);
});

test("writes a line now and then elsewhere, and always the last", () => {
  const out = stream(false);
  const progress = new Progress(out);
  for (let step = 1; step <= 100; step++) {
    vi.advanceTimersByTime(1000);
    progress.update({ ...REPORT, step, loss: 3 });
  }
  expect(out.written.map((line) => / (\d+)\/100/.exec(line)?.[1])).toEqual(["1", "31", "61", "91", "100"]);
  expect(out.written.every((line) => line.endsWith("\n"))).toBe(true);
});

test("smooths the loss", () => {
  const out = stream(true);
  const progress = new Progress(out);
  progress.update({ ...REPORT, loss: 1 });
  progress.update({ ...REPORT, step: 2, loss: 2 });
  expect(out.written.at(-1)).toContain("loss 1.0500");
});
