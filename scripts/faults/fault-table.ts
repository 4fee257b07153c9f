/** Runs the tests of every fault and shows the table: `npm run faults`; with `--write` it goes into scripts/faults/README.md. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { MATRIX, type FaultRow } from "./fault-matrix.ts";
import { machineLine, writeSection } from "./faults-readme.ts";

const HELP = `npm run faults -- [flags]

Runs the tests of every fault in scripts/faults/fault-matrix.ts and prints a table of their results.

  --write   put the table into scripts/faults/README.md`;
const ROOT = path.join(import.meta.dirname, "../..");

/** The part of vitest's JSON report that is read here. */
const reportSchema = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
});
type Report = z.output<typeof reportSchema>;

const { values } = parseArgs({
  options: { write: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
});
if (values.help) console.log(HELP);
else process.exitCode = (await run()) ? 0 : 1;

async function run(): Promise<boolean> {
  const files = [...new Set(MATRIX.flatMap(({ tests }) => tests.map(({ file }) => file)))];
  const report = await runTests(files);
  const rows = MATRIX.map((row) => ({ ...row, seen: seen(row, report) }));
  const table = [
    "| | fault | expected | seen |",
    "|---|---|---|---|",
    ...rows.map(
      ({ number, fault, expected, seen: { text } }) => `| ${number} | ${fault} | ${expected} | ${text} |`,
    ),
  ].join("\n");
  console.log(table);
  if (values.write) await writeSection("table", section(table));
  return rows.every((row) => row.seen.isGood);
}

async function runTests(files: readonly string[]): Promise<Report> {
  const folder = await mkdtemp(path.join(tmpdir(), "llava-faults-"));
  try {
    const output = path.join(folder, "report.json");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${output}`];
    const vitest = path.join(ROOT, "node_modules/vitest/vitest.mjs");
    const flags = ["run", "--config", "scripts/vitest.config.ts", ...reporters, ...files];
    const child = spawn(process.execPath, [vitest, ...flags], {
      cwd: ROOT,
      stdio: ["ignore", "inherit", "inherit"],
    });
    await once(child, "exit");
    return reportSchema.parse(JSON.parse(await readFile(output, "utf8")));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The result of a row; one without a test that ran is not good, as it would prove nothing. */
function seen({ tests }: FaultRow, report: Report): { readonly text: string; readonly isGood: boolean } {
  const meant = tests.flatMap(({ file, name = "" }) => {
    const results = report.testResults.filter((result) => result.name.endsWith(file));
    const found = results.flatMap(({ assertionResults }) => assertionResults);
    const named = found.filter(({ fullName }) => fullName.startsWith(name));
    return named.length > 0 ? named : [{ fullName: name, status: "missing" }];
  });
  const passed = meant.filter(({ status }) => status === "passed").length;
  const isGood = passed === meant.length;
  return { text: isGood ? `as expected (${passed} tests)` : `${passed} of ${meant.length} tests`, isGood };
}

function section(table: string): string {
  return `## Each fault alone

\`npm run faults\` runs the tests of each row; last on ${machineLine()}.

${table}`;
}
