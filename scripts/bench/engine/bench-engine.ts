/** Measures the engine beside what people would otherwise take, on this machine, in one run. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { holdContest } from "./contest.ts";
import { PeerProcess } from "./peers/peer-process.ts";
import { type EngineResult, markdown } from "./engine-report.ts";
import { mergeResults, readResults, RESULTS, thisMachine } from "../results/bench-results.ts";
import { refuse, wholeNumber } from "../../support/script-flags.ts";

const FOLDER = import.meta.dirname;
const TABLES = path.join(FOLDER, "results.md");
/** Fields of bench-results.json that are ours. */
const PREFIX = "engine ";

const HELP = `Measures the engine beside llama.cpp and Hugging Face transformers (for Python and for JavaScript).

  npx node scripts/bench/engine/random/random-model.ts --shape tinyllama-1.1b-clip-l --out FOLDER
  npm install --prefix OTHERS node-llama-cpp @huggingface/transformers
  npm run bench:engine -- --model FOLDER --llama-cpp OTHERS --transformers-js OTHERS --python PYTHON [--write]

Every program runs in a process of its own with the same number of threads, and they are asked in turns. Other programs
spoil the numbers: let the machine be quiet.

  --model      a model folder; of random weights, say
  --dtype      of our weights: one or more of float32, float16, int8, int4, with commas between (default int4)
  --llama-cpp  a folder with node_modules/node-llama-cpp; left out: llama.cpp is not measured
  --gguf       its model (default: language-model.q4_0.gguf in the model's folder)
  --transformers-js  a folder with node_modules/@huggingface/transformers; left out: it is not measured
  --python     a Python with the packages of scripts/reference/requirements.txt; left out: transformers is not measured
  --rounds     how often each thing is measured (default 3); what others disturb does not count
  --threads    of each program (default 2)
  --prompt     tokens of the prompt that is measured (default 256)
  --streams    answers side by side, with commas between (default 1,2,4,8)
  --tokens     of each answer (default 32)
  --images     also ask about images
  --quiet-timeout  seconds that a measurement waits for other programs to rest (default 20)
  --title      what the table is called (default: the folder's name)
  --write      also write scripts/bench/results/bench-results.json and scripts/bench/engine/results.md, after every round`;

const value = (standard: string) => ({ type: "string", default: standard }) as const;
const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    dtype: value("int4"),
    "llama-cpp": { type: "string" },
    gguf: { type: "string" },
    "transformers-js": { type: "string" },
    python: { type: "string" },
    rounds: value("3"),
    threads: value("2"),
    prompt: value("256"),
    streams: value("1,2,4,8"),
    tokens: value("32"),
    images: { type: "boolean", default: false },
    "quiet-timeout": value("20"),
    title: { type: "string" },
    write: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (flags.help) {
  console.log(HELP);
  process.exit(0);
}

const model = flags.model ?? refuse("--model is missing: a model folder.");
const threads = wholeNumber("--threads", flags.threads, [1, 1024]);
const streams = flags.streams.split(",").map((text) => wholeNumber("--streams", text, [1, 256]));
const options = {
  rounds: wholeNumber("--rounds", flags.rounds, [1, 1000]),
  promptTokens: wholeNumber("--prompt", flags.prompt, [1, 100_000]),
  streams,
  answerTokens: wholeNumber("--tokens", flags.tokens, [2 * Math.max(...streams), 10_000]),
  asksImages: flags.images,
  quietTimeoutS: wholeNumber("--quiet-timeout", flags["quiet-timeout"], [0, 3600]),
};

await using stack = new AsyncDisposableStack();
const peers: PeerProcess[] = [];
for (const { name, command, args } of programs()) {
  console.error(`${name}: loading`);
  peers.push(stack.use(await PeerProcess.start(name, command, args)));
}
const title = flags.title ?? path.basename(path.resolve(model));
for await (const contest of holdContest(peers, options, (line) => console.error(line))) {
  const result: EngineResult = { ...thisMachine(), model: title, threads, ...contest };
  console.log(`${markdown(title, result)}\n`);
  if (flags.write) {
    await mergeResults({ [`${PREFIX}${title}`]: result });
    await writeTables();
  }
}
if (flags.write)
  console.log(
    `Written to ${path.relative(process.cwd(), RESULTS)} and ${path.relative(process.cwd(), TABLES)}.`,
  );

interface Program {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** Ours first: the others are compared with the first. */
function programs(): Program[] {
  const most = String(Math.max(...streams));
  const node = (name: string, script: string, ...args: string[]): Program => ({
    name,
    command: process.execPath,
    args: [path.join(FOLDER, script), ...args],
  });
  const found = flags.dtype
    .split(",")
    .map((dtype) => node(`llava ${dtype}`, "peers/our-engine.ts", model, flags.threads, dtype, most));
  const llama = flags["llama-cpp"];
  if (llama !== undefined) {
    const gguf = flags.gguf ?? path.join(model, "language-model.q4_0.gguf");
    if (!existsSync(gguf)) refuse(`--gguf is "${gguf}", but there is no such file.`);
    found.push(node("llama.cpp Q4_0", "peers/llama-cpp.ts", llama, gguf, flags.threads, most));
  }
  const js = flags["transformers-js"];
  if (js !== undefined)
    found.push(node("transformers.js q4", "peers/transformers-js.ts", js, model, flags.threads));
  if (flags.python !== undefined) {
    const args = [path.join(FOLDER, "peers/transformers_peer.py"), model, flags.threads];
    found.push({ name: "transformers float32", command: flags.python, args });
  }
  return found;
}

/** The tables of all models that were ever measured here. */
async function writeTables(): Promise<void> {
  const results = Object.entries(await readResults()).filter(([name]) => name.startsWith(PREFIX));
  const tables = results.map(([name, measured]) =>
    markdown(name.slice(PREFIX.length), measured as EngineResult),
  );
  const head =
    "# The engine beside others\n\nWritten by `npm run bench:engine -- --write`; its --help says how.";
  await writeFile(TABLES, `${[head, ...tables].join("\n\n")}\n`);
}
