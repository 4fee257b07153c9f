import { expect, it } from "vitest";
import type { Sample } from "./contest.ts";
import { type EngineResult, markdown, ratio } from "./engine-report.ts";

const sample = (peer: string, values: (number | null)[], isRate = true): Sample => ({
  peer,
  figure: "decode, 1 stream",
  unit: "tokens/s",
  isRate,
  values,
});

it("a ratio compares what was measured in the same round", () => {
  const found = ratio(sample("we", [10, 30, 20]), sample("they", [10, 10, 10]));
  expect(found).toEqual({ median: 2, least: 1, most: 3 });
});

it("of times the smaller one is the better", () => {
  expect(ratio(sample("we", [5], false), sample("they", [10], false))?.median).toBe(2);
});

it("rounds that one of them lacks do not count, unless they have none in common", () => {
  expect(ratio(sample("we", [10, null, 40]), sample("they", [5, 1, null]))?.median).toBe(2);
  expect(ratio(sample("we", [null, 3]), sample("they", [1]))).toEqual({ median: 3, least: 3, most: 3 });
  expect(ratio(sample("we", [null, 3]), sample("they", [null]))).toBeUndefined();
});

it("the table has a column for each, a ratio for all but the first, and a dash for what was not measured", () => {
  const result: EngineResult = {
    date: "2026-01-02T03:04:05.000Z",
    cpu: "A CPU",
    cores: 2,
    memoryGiB: 8,
    platform: "linux x64",
    node: "v24",
    model: "tiny",
    threads: 2,
    foreign: { median: 0.011, most: 0.3 },
    samples: [
      sample("we", [200, 400]),
      sample("they", [100, 100]),
      { ...sample("we", [7]), figure: "more", unit: "ms" },
    ],
    upkeep: [
      { peer: "we", loadMs: 1500, ownMiB: 120, idleCpu: 0 },
      { peer: "they", loadMs: 250 },
    ],
  };
  const lines = markdown("Title", result).split("\n");
  expect(lines[0]).toBe("## Title");
  expect(lines[2]).toContain("2026-01-02; 2 threads each");
  expect(lines[2]).toContain("took 1 % of the machine meanwhile, 30 % at worst");
  expect(lines).toContain("|  | we | they | ratio |");
  expect(lines).toContain(
    "| decode, 1 stream, tokens/s | 300 (200 – 400) | 100 (100 – 100) | **3.00×** (2.00 – 4.00) |",
  );
  expect(lines).toContain("| more, ms | 7.00 (7.00 – 7.00) | – | – |");
  expect(lines).toContain("| we | 1.50 | 120 | – | – | 0.0 |");
  expect(lines.at(-1)).toBe("| they | 0.25 | – | – | – | – |");
});
