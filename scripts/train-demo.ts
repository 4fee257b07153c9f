/**
 * Trains the demo model from nothing: `npm run train:demo`. Interrupt it whenever you like; it goes on where it was.
 */
import { appendFile, mkdir, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { demoPhases, train, TrainingState } from "@llava/training";

const { values: flags } = parseArgs({
  options: {
    folder: { type: "string", default: "runs/demo" },
    fresh: { type: "boolean", default: false },
    threads: { type: "string" },
    until: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (flags.help) {
  console.log(`Trains the demo model: tower, language, alignment, instruction tuning.

  npm run train:demo -- [--folder runs/demo] [--fresh] [--threads 2] [--until PHASE]

  --folder   where the training state and metrics.jsonl live
  --fresh    forget what is in the folder
  --threads  threads of ONNX Runtime (default: the machine's cores)
  --until    stop after this phase: ${demoPhases().map((phase) => phase.name).join(", ")}`);
  process.exit(0);
}

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
process.once("SIGTERM", () => stop.abort());

if (flags.fresh) await rm(flags.folder, { recursive: true, force: true });
await mkdir(flags.folder, { recursive: true });
const isResumed = existsSync(path.join(flags.folder, "state.json"));
const state = isResumed ? await TrainingState.load(flags.folder) : new TrainingState();
const phases = demoPhases();
const last = flags.until === undefined ? phases.length : phases.findIndex((phase) => phase.name === flags.until) + 1;
if (last === 0) throw new Error(`There is no phase ${flags.until}; the phases are ${phases.map((phase) => phase.name).join(", ")}.`);
const metrics = path.join(flags.folder, "metrics.jsonl");

await train(phases.slice(0, last), state, {
  folder: flags.folder,
  saveEvery: 200,
  probeEvery: 400,
  signal: stop.signal,
  ...(flags.threads === undefined ? {} : { threads: Number(flags.threads) }),
  onStep: (record) => void appendFile(metrics, `${JSON.stringify(record)}\n`),
  log: (line) => console.error(line),
});
