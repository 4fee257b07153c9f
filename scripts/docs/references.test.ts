import { namesOf, OPTION_ROWS, PROGRAMS } from "@llava/server/command";
import { ERROR_TABLE } from "@llava/protocol";
import { expect, test } from "vitest";
import { configurationReference } from "./configuration-reference.ts";
import { errorReference } from "./error-reference.ts";
import { markdownTable } from "./markdown-table.ts";

test("the configuration reference has a section for each program and every name of every option", () => {
  const sections = configurationReference().split("\n## ").slice(1);
  for (const program of PROGRAMS) {
    const section = sections.find((text) => text.startsWith(`\`llava ${program}`)) ?? "";
    for (const row of OPTION_ROWS.values()) {
      if (row.programs[program] === undefined) continue;
      for (const name of namesOf(row)) expect(section, `${program} ${name}`).toContain(`\`${name}`);
    }
  }
});

test("the configuration reference shows defaults, values, what serve passes on and what it refuses", () => {
  const page = configurationReference();
  expect(page).toContain(
    "| `--heartbeat-expiry <seconds>` → controller | a number of seconds above 0, up to 86400 | `30` |",
  );
  expect(page).toContain("- `--no-register`: serve's workers report to its controller.");
  expect(page).toContain("| `LLAVA_CLUSTER_TOKEN` |");
});

test("the error reference has every code with its HTTP status", () => {
  const page = errorReference();
  for (const [code, { status }] of Object.entries(ERROR_TABLE))
    expect(page).toContain(`| \`${code}\` | ${status} |`);
});

test("a bar within a cell of a Markdown table is escaped", () => {
  expect(markdownTable(["a", "b"], [["x|y", "z"]])).toBe("| a | b |\n| --- | --- |\n| x\\|y | z |\n");
});
