import { expect, test } from "vitest";

import { summarize } from "./card-summary.ts";

test("card summary: the first paragraph and the first one about limits, without markup", () => {
  const card = [
    "---\nlicense: apache-2.0\n---",
    "# LLaVA demo",
    "![a badge](https://example.com/badge.svg)",
    "> a quote",
    "A **small** model with a [tower](https://example.com)\nand a `projector`.",
    "| a | table |",
    "## Known limitations\nIt never saw a photograph.",
    "More words.",
  ].join("\n\n");
  expect(summarize(card)).toEqual({
    description: "A small model with a tower and a projector.",
    limits: "It never saw a photograph.",
  });
});

test("card summary: nothing without a card", () => {
  const nothing = { description: null, limits: null };
  expect(summarize(undefined)).toEqual(nothing);
  expect(summarize(null)).toEqual(nothing);
  expect(summarize("---\na: b\n---\n# Only a title\n")).toEqual(nothing);
});

test("card summary: a long paragraph ends with a whole sentence", () => {
  const { description } = summarize(`One sentence. ${"word ".repeat(100)}end.`);
  expect(description).toBe("One sentence.");
});
