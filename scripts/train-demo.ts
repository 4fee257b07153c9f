/**
 * Trains the demo model from nothing: `npm run train:demo`. Interrupt it whenever you like; it goes on where it was.
 */
import { createWriteStream, existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { demoPhases, exportDemo, train, TrainingState } from "@llava/training";

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

Interrupt it whenever you like: it goes on where it was. The finished model lies in FOLDER/llava-demo.

  --folder   where the training state, metrics.jsonl and the model live
  --fresh    forget what is in the folder
  --threads  threads of ONNX Runtime (default: the machine's cores)
  --until    stop after this phase: ${demoPhases()
    .map((phase) => phase.name)
    .join(", ")}`);
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
const last =
  flags.until === undefined ? phases.length : phases.findIndex((phase) => phase.name === flags.until) + 1;
if (last === 0)
  throw new Error(
    `There is no phase ${flags.until}; the phases are ${phases.map((phase) => phase.name).join(", ")}.`,
  );
const metrics = createWriteStream(path.join(flags.folder, "metrics.jsonl"), { flags: "a" });

await train(phases.slice(0, last), state, {
  folder: flags.folder,
  saveEvery: 200,
  probeEvery: 400,
  signal: stop.signal,
  ...(flags.threads === undefined ? {} : { threads: Number(flags.threads) }),
  onStep: (record) => metrics.write(`${JSON.stringify(record)}\n`),
  log: (line) => console.error(line),
});
metrics.end();

if (phases.every((phase) => state.finished.has(phase.name))) {
  const model = path.join(flags.folder, "llava-demo");
  await exportDemo(state, model);
  console.log(`The model is in ${model}. What next:
  npm run eval:demo -- --model ${model} --write
  npm run llava -- chat --model-path ${model} --image FILE --prompt "What do you see?"`);
}
