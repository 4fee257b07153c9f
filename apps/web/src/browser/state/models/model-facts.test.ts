import { readFile } from "node:fs/promises";

import { expect, test } from "vitest";

import { modelFacts } from "./model-facts.ts";

test("model facts of the demo model's card: size, accuracy, drawings only", async () => {
  const card = await readFile(
    new URL("../../../../../../packages/demo/model/llava-demo/README.md", import.meta.url),
    "utf8",
  );
  const facts = modelFacts(card);
  expect(facts.parameters).toMatch(/^\d+(\.\d+)? million$/);
  expect(facts.isForDrawingsOnly).toBe(true);
  expect(facts.total?.percent).toBeGreaterThan(80);
  expect(facts.total?.count).toBe(facts.kinds.reduce((sum, { count }) => sum + count, 0));
  expect(facts.kinds.map(({ name }) => name)).toContain("count shape");
});

test("model facts: numbers of the first columns, with an interval where there is one", () => {
  const facts = modelFacts("| all | 91.5 (90–93) | 400 | 1 | 2 |\n| color | 88 | 100 |\n| --- | --- | --- |");
  expect(facts.total).toEqual({ name: "all", percent: 91.5, interval: [90, 93], count: 400 });
  expect(facts.kinds).toEqual([{ name: "color", percent: 88, interval: null, count: 100 }]);
});

test("model facts: none for a card without a table, and for no card", () => {
  const nothing = { parameters: null, isForDrawingsOnly: false, total: null, kinds: [] };
  expect(modelFacts("# A model\n\nIt sees photographs.")).toEqual(nothing);
  expect(modelFacts(null)).toEqual(nothing);
});
