/** Trains the demo model from nothing: `npm run train:demo`. It may be interrupted at any time and resumes where it was. */
import { createWriteStream, existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { demoPhases, exportDemo } from "@llava/demo";
import { type Device, parseDevice } from "@llava/runtime";
import { train, TrainingState } from "@llava/training";
import { refuse, wholeNumber } from "../support/script-flags.ts";

const phases = demoPhases();
const phaseNames = phases.map((phase) => phase.name).join(", ");

const { values: flags } = parseArgs({
  options: {
    folder: { type: "string", default: "runs/demo" },
    fresh: { type: "boolean", default: false },
    device: { type: "string", default: "cpu" },
    threads: { type: "string" },
    until: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (flags.help) {
  console.log(`Trains the demo model: tower, language, alignment, instruction tuning.

  npm run train:demo -- [--folder runs/demo] [--fresh] [--device cpu] [--threads 2] [--until PHASE]

Interrupt it whenever you like: it goes on where it was. The finished model lies in FOLDER/llava-demo.

  --folder   where the training state, metrics.jsonl and the model live
  --fresh    delete the state, the metrics and the model in the folder, and begin anew
  --device   where weights live and steps run: cpu, cuda, cuda:1, webgpu (default cpu)
  --threads  threads of ONNX Runtime (default: the machine's cores)
  --until    stop after this phase: ${phaseNames}`);
  process.exit(0);
}

// Every flag is read before anything is deleted.
const threads = flags.threads === undefined ? undefined : wholeNumber("--threads", flags.threads, [1, 1024]);
const device = deviceOf(flags.device);
const { until } = flags;
if (until !== undefined && !phases.some(({ name }) => name === until))
  refuse(`There is no phase ${until}; the phases are ${phaseNames}.`);
const metricsFile = path.join(flags.folder, "metrics.jsonl");
const model = path.join(flags.folder, "llava-demo");

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
process.once("SIGTERM", () => stop.abort());

if (flags.fresh) {
  await TrainingState.remove(flags.folder);
  for (const made of [metricsFile, model]) await rm(made, { recursive: true, force: true });
}
await mkdir(flags.folder, { recursive: true });
const isResumed = existsSync(path.join(flags.folder, "state.json"));
using state = isResumed ? await TrainingState.load(flags.folder) : new TrainingState();
const metrics = createWriteStream(metricsFile, { flags: "a" });

await train(phases, state, {
  folder: flags.folder,
  device,
  threads,
  until,
  saveEvery: 200,
  probeEvery: 400,
  signal: stop.signal,
  onStep: (record) => metrics.write(`${JSON.stringify(record)}\n`),
  log: (line) => console.error(line),
});
metrics.end();

if (phases.every((phase) => state.finished.has(phase.name))) {
  await exportDemo(state, model);
  console.log(`The model is in ${model}. What next:
  npm run eval:demo -- --model ${model} --write
  npm run llava -- chat --model-path ${model} --image FILE --prompt "What do you see?"`);
}

function deviceOf(text: string): Device {
  try {
    return parseDevice(text);
  } catch (error) {
    return refuse(`--device: ${error instanceof Error ? error.message : String(error)}`);
  }
}
