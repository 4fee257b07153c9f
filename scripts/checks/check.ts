/** Everything that must hold before a change goes in: a line for each step, and the output of those that fail. */
import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { importFaults } from "./check-imports.ts";
import { documentFaults } from "./check-documents.ts";
import { layerFaults } from "./check-layers.ts";
import { layoutFaults } from "./check-layout.ts";
import { wordFaults } from "./check-words.ts";
import { readSources, type Source } from "./source-imports.ts";
import { trackedFiles } from "./tracked-files.ts";

/** What a step found wrong, in words; empty when all is well. */
type Findings = string;

interface Step {
  readonly name: string;
  run(): Promise<Findings>;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Parsed by the first of the two steps that look at imports. */
let sources: Promise<readonly Source[]> | undefined;

const STEPS: readonly Step[] = [
  command("format", "npm run --silent format -- --check"),
  command("lint", "npm run --silent lint"),
  command("types", "npm run --silent types"),
  command("dead code", "knip --config scripts/knip.json --no-config-hints"),
  files("import table", async (all) => await importFaults(ROOT, all, await sourcesAmong(all))),
  files("layers", async (all) => layerFaults(await sourcesAmong(all))),
  files("layout", (all) => layoutFaults(all)),
  files("words", async (all) => await wordFaults(ROOT, all)),
  command("references", "npm run --silent docs -- --check"),
  files("documents", async (all) => await documentFaults(ROOT, all)),
];
const TESTS = command("tests", "npm test --silent");

const { values } = parseArgs({ options: { tests: { type: "boolean", default: true } }, allowNegative: true });
process.exitCode = (await check(values.tests ? [...STEPS, TESTS] : STEPS)) ? 0 : 1;

/** Runs all steps, also after one failed: a reader wants the whole list. */
async function check(steps: readonly Step[]): Promise<boolean> {
  let isGood = true;
  for (const step of steps) {
    process.stdout.write(step.name.padEnd(14));
    const startedAt = performance.now();
    const findings = await step.run();
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    process.stdout.write(`${findings === "" ? "ok    " : "FAILED"} ${seconds.padStart(6)} s\n`);
    if (findings !== "") process.stdout.write(`${findings.replace(/^/gm, "  ")}\n`);
    isGood &&= findings === "";
  }
  return isGood;
}

async function sourcesAmong(all: readonly string[]): Promise<readonly Source[]> {
  sources ??= readSources(ROOT, all);
  return await sources;
}

/** A step over the files of the repository: a sentence for each fault. */
function files(
  name: string,
  faults: (all: readonly string[]) => readonly string[] | Promise<readonly string[]>,
): Step {
  return { name, run: async () => (await faults(await trackedFiles(ROOT))).join("\n") };
}

/** A step that fails with the exit code of a shell command; the tools of node_modules come first on its path. */
function command(name: string, line: string): Step {
  return {
    name,
    run: async () => {
      const path = [join(ROOT, "node_modules", ".bin"), process.env["PATH"]].join(delimiter);
      const child = spawn(line, { cwd: ROOT, shell: true, env: { ...process.env, PATH: path } });
      const output: Buffer[] = [];
      child.stdout.on("data", (bytes: Buffer) => output.push(bytes));
      child.stderr.on("data", (bytes: Buffer) => output.push(bytes));
      const code = await new Promise<number | null>((resolve, reject) => {
        child.once("error", reject);
        child.once("close", resolve);
      });
      if (code === 0) return "";
      return `${Buffer.concat(output).toString().trim()}\n"${line}" ended with ${code ?? "a signal"}`;
    },
  };
}
