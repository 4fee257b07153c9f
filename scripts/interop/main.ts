/**
 * Runs the original LLaVA's own programs with ours and prints the results. It needs a checkout of haotian-liu/LLaVA and a
 * Python with what its programs import, so that it is run by hand.
 *
 *   git clone https://github.com/haotian-liu/LLaVA /tmp/llava
 *   python -m venv /tmp/venv && /tmp/venv/bin/pip install fastapi uvicorn requests pydantic numpy pillow gradio torch transformers
 *   npm run interop -- --llava /tmp/llava --python /tmp/venv/bin/python
 *
 * original.py may replace two parts of the original, which each line of the result names. Cases whose Python modules are
 * missing are skipped with the reason; they have not passed.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs, promisify } from "node:util";
import { refuse } from "../support/script-flags.ts";
import { CASES, type Case } from "./cases.ts";
import type { Original } from "./interop-programs.ts";

const HELP = `Runs the original LLaVA's own programs with ours.

  npm run interop -- --llava DIR [--python PYTHON] [--only WORD]

  --llava   a checkout of haotian-liu/LLaVA; nothing in it is changed
  --python  with fastapi, uvicorn, requests, pydantic, numpy, pillow; for its web server's functions gradio, for its
            worker torch and transformers (default python3). Cases that lack one are skipped.
  --only    cases with this word in their names: "controller", "test_message", "web", "worker's"

Prints a Markdown table; ends with 1 when a case failed. Its package's __init__ and its model are replaced where they
cannot be loaded, which the lines of the table name.`;

const { values: flags } = parseArgs({
  options: {
    llava: { type: "string" },
    python: { type: "string", default: "python3" },
    only: { type: "string", default: "" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (flags.help) {
  console.log(HELP);
  process.exit(0);
}
if (flags.llava === undefined) refuse("--llava is missing; it must be a checkout of haotian-liu/LLaVA.");
const folder = resolve(flags.llava);
if (!existsSync(join(folder, "llava", "serve", "controller.py")))
  refuse(`--llava is "${folder}", where there is no llava/serve/controller.py.`);

const scratch = await mkdtemp(join(tmpdir(), "llava-interop-"));
const original: Original = { folder, python: flags.python, scratch };
const chosen = CASES.filter(({ name }) => name.includes(flags.only));
if (chosen.length === 0) refuse(`--only is "${flags.only}", which is in no case's name.`);
let numFailed = 0;
console.log("| case | result | seen |\n|---|---|---|");
try {
  for (const one of chosen) {
    const [result, seen] = await outcome(one);
    if (result === "FAIL") numFailed += 1;
    console.log(`| ${one.name} | ${result} | ${seen.replaceAll("|", "\\|").replaceAll("\n", " ")} |`);
  }
} finally {
  await rm(scratch, { recursive: true, force: true });
}
process.exitCode = numFailed === 0 ? 0 : 1;

async function outcome({ needs, run }: Case): Promise<readonly ["pass" | "FAIL" | "skipped", string]> {
  const missing = await missingOf(needs);
  if (missing !== "") return ["skipped", missing];
  try {
    return ["pass", (await run(original)).replace(/; $/, "")];
  } catch (thrown) {
    return ["FAIL", thrown instanceof Error ? thrown.message : String(thrown)];
  }
}

/** Why this Python cannot run a case; empty when it can. */
async function missingOf(needs: readonly string[]): Promise<string> {
  const code = `import importlib.util as u; print(*[n for n in ${JSON.stringify(needs)} if not u.find_spec(n)])`;
  try {
    const { stdout } = await promisify(execFile)(flags.python, ["-c", code]);
    return stdout.trim() === "" ? "" : `Python lacks ${stdout.trim().replaceAll(" ", ", ")}`;
  } catch (thrown) {
    return `${flags.python} does not run: ${thrown instanceof Error ? thrown.message.slice(0, 200) : String(thrown)}`;
  }
}
