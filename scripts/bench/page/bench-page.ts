/** Measures the built page in a browser: `npm run bench:page`. The answers come from a stage that sends text at a set speed. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { benchLongAnswer, benchOpening, benchPaint, benchPhotograph, benchStop, isMet } from "./parts.ts";
import type { Figure } from "./parts.ts";
import { startService } from "./page-service.ts";
import type { Service } from "./page-service.ts";
import { thisMachine } from "../results/bench-results.ts";
import { median } from "../results/bench-row.ts";
import { refuse, wholeNumber } from "../../support/script-flags.ts";

const RESULTS = path.join(import.meta.dirname, "results.md");
const SLOWDOWNS = [1, 4];
const PARTS: Readonly<Record<string, (service: Service, rounds: number) => Promise<readonly Figure[]>>> = {
  paint: async (service, rounds) => await atEach((slowdown) => benchPaint(service, slowdown, rounds)),
  long: async (service, rounds) => await atEach((slowdown) => benchLongAnswer(service, slowdown, rounds)),
  opening: (service, rounds) => benchOpening(service, 500, rounds),
  stop: (service, rounds) => benchStop(service, 5 * rounds),
  photograph: benchPhotograph,
};
const HELP = `Measures the page as a browser shows it: build it first ("npm run build").

  npm run bench:page -- [--only ${Object.keys(PARTS).join("|")}] [--rounds 3] [--write]

Other programs spoil the numbers: let the machine be quiet. The whole takes five minutes. Ends with 1 where a goal is missed.

  --only    one part
  --rounds  how often each part is measured; medians are shown (default 3)
  --write   also write scripts/bench/page/results.md`;

const { values: flags } = parseArgs({
  options: {
    only: { type: "string" },
    rounds: { type: "string", default: "3" },
    write: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (flags.help) {
  console.log(HELP);
  process.exit(0);
}
const { only } = flags;
if (only !== undefined && !(only in PARTS))
  refuse(`--only is "${only}"; it may be ${Object.keys(PARTS).join(", ")}.`);
const rounds = wholeNumber("--rounds", flags.rounds, [1, 100]);

const figures: Figure[] = [];
{
  await using service = await startService();
  for (const [name, measure] of Object.entries(PARTS)) {
    if (only !== undefined && name !== only) continue;
    figures.push(...(await measure(service, rounds)));
    console.error(`${name}: done`);
  }
}
const report = markdown(figures);
console.log(report);
if (flags.write) await writeFile(RESULTS, report);
// For a run as a gate.
if (!figures.every(isMet)) process.exitCode = 1;

async function atEach(measure: (slowdown: number) => Promise<readonly Figure[]>): Promise<readonly Figure[]> {
  const found: Figure[] = [];
  for (const slowdown of SLOWDOWNS) found.push(...(await measure(slowdown)));
  return found;
}

function markdown(measured: readonly Figure[]): string {
  const { cpu, cores, memoryGiB, platform, node, date } = thisMachine();
  const rows = measured.map((figure) => {
    const { name, values, unit, goal, isLeast = false } = figure;
    const spread =
      values.length > 1 ? ` (${formatted(Math.min(...values))} to ${formatted(Math.max(...values))})` : "";
    const wanted = goal === null ? "" : `${isLeast ? "≥" : "≤"} ${goal}`;
    const verdict = goal === null ? "" : isMet(figure) ? "yes" : "no";
    return `| ${name} | ${formatted(median(values))}${spread} ${unit} | ${wanted} | ${verdict} |`;
  });
  return `# What the page costs a browser

| figure | median (spread) | goal | met |
| --- | --- | --- | --- |
${rows.join("\n")}

Headless Chromium, 1280 × 800; "processor 4×" is slowed to a quarter by the browser's own means. A token's time runs from its
leaving the controller to the end of the frame that shows it, web server included. Blocking time: what tasks took beyond
50 ms. Written by scripts/bench/page/bench-page.ts on ${date.slice(0, 10)}: ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${platform}, Node ${node}.
`;
}

function formatted(value: number): string {
  return value.toFixed(Math.abs(value) < 10 ? 1 : 0);
}
