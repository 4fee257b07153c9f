import { expect, test } from "vitest";
import { isProgress, progressBar } from "./progress-bar.ts";

function drawn(isTTY: boolean, name?: string): { written: string[]; show: ReturnType<typeof progressBar> } {
  const written: string[] = [];
  const show = progressBar({ isTTY, write: (text) => written.push(text) }, name);
  return { written, show };
}

const GB = 1e9;

test("progress bar: on a terminal it is redrawn and ends its line", () => {
  const { written, show } = drawn(true);
  for (const done of [0, 2 * GB, 4 * GB]) show({ phase: "quantizing", done, total: 4 * GB, unit: "bytes" });
  expect(written).toEqual([
    `\rWeights: quantizing [${".".repeat(30)}] 0 % of 4.0 GB`,
    `\rWeights: quantizing [${"#".repeat(15)}${".".repeat(15)}] 50 % of 4.0 GB`,
    `\rWeights: quantizing [${"#".repeat(30)}] 100 % of 4.0 GB\n`,
  ]);
});

test("progress bar: in a file there is a line for each tenth and for each phase", () => {
  const { written, show } = drawn(false, "worker of a");
  for (let done = 0; done < 25; done++)
    show({ phase: "quantizing", done: done * GB, total: 100 * GB, unit: "bytes" });
  show({ phase: "checking", done: 0, total: 50 * GB, unit: "bytes" });
  expect(written).toEqual([
    "worker of a: quantizing, 0 % of 100.0 GB\n",
    "worker of a: quantizing, 10 % of 100.0 GB\n",
    "worker of a: quantizing, 20 % of 100.0 GB\n",
    "worker of a: checking, 0 % of 50.0 GB\n",
  ]);
});

test("progress bar: steps that are not bytes are not drawn", () => {
  const { written, show } = drawn(true);
  show({ phase: "configuration", done: 0, total: 4 });
  expect(written).toEqual([]);
});

test("progress bar: messages of another process are checked", () => {
  expect(isProgress({ phase: "quantizing", done: 1, total: 2, unit: "bytes" })).toBe(true);
  for (const value of [null, 1, {}, { phase: 1, done: 1, total: 2 }, { phase: "x", done: "1", total: 2 }])
    expect(isProgress(value)).toBe(false);
});
