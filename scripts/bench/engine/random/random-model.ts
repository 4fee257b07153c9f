/** Writes models of random weights in the shapes of known ones, for measuring: they answer nonsense, at full cost. */
import { mkdir, statfs } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { refuse, wholeNumber } from "../../../support/script-flags.ts";
import { writeRandomCheckpoint } from "./random-checkpoint.ts";
import { writeRandomGguf } from "./random-gguf.ts";
import { SHAPES, tensorPlans } from "./shapes.ts";

const HELP = `Writes a model of random weights.

  npx node scripts/bench/engine/random/random-model.ts --shape ${Object.keys(SHAPES).join("|")} --out FOLDER

FOLDER becomes a model folder in Hugging Face's layout with float16 weights (2.8 GB and 14 GB for the two real shapes),
and FOLDER/language-model.q4_0.gguf the same language model's shape for llama.cpp.

  --only  "checkpoint" or "gguf"
  --seed  other random weights (default 1)`;

const { values: flags } = parseArgs({
  options: {
    shape: { type: "string" },
    out: { type: "string" },
    only: { type: "string" },
    seed: { type: "string", default: "1" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (flags.help) {
  console.log(HELP);
  process.exit(0);
}

const { only } = flags;
if (only !== undefined && only !== "checkpoint" && only !== "gguf")
  refuse(`--only is "${only}"; it may be "checkpoint" or "gguf".`);
const shape = SHAPES[flags.shape ?? ""];
if (!shape) refuse(`--shape is "${flags.shape ?? ""}"; it may be ${Object.keys(SHAPES).join(", ")}.`);
else {
  const folder = flags.out ?? refuse("--out is missing: the folder to write.");
  const seed = wholeNumber("--seed", flags.seed, [0, 2 ** 31]);
  await mkdir(folder, { recursive: true });
  if (only !== "gguf") {
    await requireSpace(folder, tensorPlans(shape));
    await writeRandomCheckpoint(folder, shape, { seed, report: progress("weights") });
  }
  const gguf = path.join(folder, "language-model.q4_0.gguf");
  if (only !== "checkpoint") await writeRandomGguf(gguf, shape.text, seed, progress("GGUF"));
}

async function requireSpace(folder: string, plans: readonly { shape: readonly number[] }[]): Promise<void> {
  const bytes = plans.reduce((sum, plan) => sum + plan.shape.reduce((a, b) => a * b, 2), 0);
  const { bavail, bsize } = await statfs(folder);
  const gigabytes = (value: number): string => (value / 1e9).toFixed(1);
  if (bytes > bavail * bsize)
    refuse(`--out is on a disk with ${gigabytes(bavail * bsize)} GB free; ${gigabytes(bytes)} are needed.`);
}

/** One line that is written over; whole percents only where there is no terminal. */
function progress(what: string): (share: number) => void {
  let last = -1;
  return (share) => {
    const percent = Math.floor(100 * share);
    if (percent === last) return;
    last = percent;
    const WIDTH = 30;
    const bar = "█".repeat(Math.floor(WIDTH * share)).padEnd(WIDTH, "·");
    const end = percent === 100 ? "\n" : "";
    if (process.stderr.isTTY) process.stderr.write(`\r${what.padEnd(8)} ${bar} ${percent} %${end}`);
    else if (percent % 25 === 0) process.stderr.write(`${what}: ${percent} %\n`);
  };
}
