import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { MATRIX } from "./fault-matrix.ts";

const ROOT = path.join(import.meta.dirname, "../..");

describe("the fault matrix", () => {
  it.each(MATRIX)("$number ($fault) names tests that are there", async ({ tests }) => {
    expect(tests.length).toBeGreaterThan(0);
    for (const { file, name = "" } of tests) {
      const source = await readFile(path.join(ROOT, file), "utf8");
      const titles = [...source.matchAll(/^\s*(?:describe|it|test|.*\]\))[^(]*\(\s*["`]([^"`]+)/gm)].map(
        ([, title = ""]) => title,
      );
      // A full name is a test's title, or that of a describe before it.
      const fullNames = titles.flatMap((outer) => [outer, ...titles.map((title) => `${outer} ${title}`)]);
      const isThere = name === "" || fullNames.some((fullName) => begins(fullName, name));
      expect(isThere, `${file}: ${name}`).toBe(true);
    }
  });
});

/** Whether a test's full name begins with `name`; only its part before a placeholder is known. */
function begins(fullName: string, name: string): boolean {
  const known = fullName.split(/%|\$\{/)[0]?.trimEnd() ?? "";
  return known.startsWith(name) || (known !== fullName && known !== "" && name.startsWith(known));
}
