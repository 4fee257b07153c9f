/** Measures training, serving and the event loop on this machine: `npm run bench`. Numbers in documents come from here. */
import path from "node:path";
import { parseArgs } from "node:util";
import { mergeResults, RESULTS, thisMachine } from "./results/bench-results.ts";
import { type Row, table } from "./results/bench-row.ts";
import { benchServing } from "./bench-serving.ts";
import { benchTraining } from "./bench-training.ts";
import { refuse, wholeNumber } from "../support/script-flags.ts";

const MODEL = path.join(import.meta.dirname, "../../packages/demo/model/llava-demo");

const HELP = `Measures this machine: how quickly it trains, answers, and how long its event loop waits.

  npm run bench -- [--only training|serving] [--repeat 9] [--threads N] [--model FOLDER] [--device cpu] [--write]

Other programs spoil the numbers: let the machine be quiet. The whole takes two minutes.

  --only     one half: "training" (the trainer's step beside a large matrix product) or "serving" (engine, event loop)
  --repeat   how often each thing is measured (default 9); medians are shown
  --threads  threads of ONNX Runtime (default: the physical cores)
  --model    the model folder to serve (default: the demo model)
  --device   where to serve it: cpu, cuda, cuda:1, webgpu (default cpu)
  --write    also write scripts/bench/results/bench-results.json`;

const { values: flags } = parseArgs({
  options: {
    only: { type: "string" },
    repeat: { type: "string", default: "9" },
    threads: { type: "string" },
    model: { type: "string", default: MODEL },
    device: { type: "string", default: "cpu" },
    write: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (flags.help) {
  console.log(HELP);
  process.exit(0);
}

const repeat = wholeNumber("--repeat", flags.repeat, [1, 1000]);
const threads = flags.threads === undefined ? undefined : wholeNumber("--threads", flags.threads, [1, 1024]);
if (flags.only !== undefined && flags.only !== "training" && flags.only !== "serving") {
  refuse(`--only is "${flags.only}"; it may be "training" or "serving".`);
}

const rows: Row[] = [];
if (flags.only !== "serving") rows.push(...(await benchTraining({ repeat, threads })));
if (flags.only !== "training") {
  rows.push(...(await benchServing({ model: flags.model, device: flags.device, repeat, threads })));
}
const machine = thisMachine();
console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.platform}, Node ${machine.node}\n`);
console.log(table(rows));
if (flags.write) {
  // Threads null: the runtime's choice, the physical cores.
  await mergeResults({ ...machine, threads: threads ?? null, repeat, rows });
  console.log(`\nWritten to ${path.relative(process.cwd(), RESULTS)}.`);
}
