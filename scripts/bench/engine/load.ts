/**
 * What it takes to start a large model: the first time, when its weights are quantized, and the second, when they are
 * mapped from the cache. Each start is a process of its own, and each asks one question about one image.
 */
import { fork } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { Engine, type EngineOptions } from "@llava/engine";
import { mergeResults, thisMachine } from "../results/bench-results.ts";
import { refuse } from "../../support/script-flags.ts";
import { coarseNoise } from "./measure/noise.ts";

interface Start {
  readonly loadSeconds: number;
  /** Processor time of all threads while loading. */
  readonly cpuSeconds: number;
  /** Bytes when loaded, and the most until then. */
  readonly loadedBytes: number;
  readonly peakBytes: number;
  /** Bytes after the question. */
  readonly answeredBytes: number;
  /** What else the machine had to do: runnable threads over the last minute, ours included. */
  readonly loadAverage: number;
}

const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    dtype: { type: "string", default: "int4" },
    title: { type: "string" },
    cache: { type: "string" },
    child: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (flags.help) {
  console.log(`Starts a model twice and prints how long that takes and how much memory.

  npx node scripts/bench/engine/load.ts --model FOLDER [--dtype int4] [--cache FOLDER] [--title NAME] [--write]

  --cache  where quantized weights are kept (default: a folder that is deleted afterwards)
  --write  also write scripts/bench/results/bench-results.json, under the title (default: the folder's name)`);
  process.exit(0);
}
const folder = flags.model ?? refuse("--model is missing.");
const dtype = dtypeOf(flags.dtype);
if (flags.child) process.send?.(await start());
else await measure();

function dtypeOf(text: string): NonNullable<EngineOptions["dtype"]> {
  if (text === "float32" || text === "float16" || text === "int8" || text === "int4") return text;
  return refuse(`--dtype is "${text}"; it must be float32, float16, int8 or int4.`);
}

async function measure(): Promise<void> {
  const cache = flags.cache ?? (await mkdtemp(path.join(tmpdir(), "llava-load-")));
  try {
    const first = await startChild(cache);
    const second = await startChild(cache);
    const cacheBytes = await sizeOf(path.join(cache, "quantized"));
    const modelBytes = await sizeOf(folder);
    const result = { ...thisMachine(), dtype, modelBytes, cacheBytes, first, second };
    console.log(JSON.stringify(result, null, 2));
    if (flags.write)
      await mergeResults({ [`load ${flags.title ?? path.basename(folder)} ${dtype}`]: result });
  } finally {
    if (flags.cache === undefined) await rm(cache, { recursive: true, force: true });
  }
}

async function startChild(cache: string): Promise<Start> {
  const child = fork(import.meta.filename, ["--child", "--model", folder, "--dtype", dtype], {
    env: { ...process.env, LLAVA_CACHE: cache },
  });
  return await new Promise<Start>((resolve, reject) => {
    let found: Start | undefined;
    // The message is what start() returned: the child is this very file.
    child.once("message", (message) => (found = message as Start));
    child.once("error", reject);
    child.once("exit", (code) =>
      found ? resolve(found) : reject(new Error(`The start ended with code ${code}.`)),
    );
  });
}

async function start(): Promise<Start> {
  const began = performance.now();
  const cpu = process.cpuUsage();
  await using engine = await Engine.load(folder, { dtype, onProgress: tell() });
  const { user, system } = process.cpuUsage(cpu);
  const loadSeconds = (performance.now() - began) / 1000;
  const { resident, peak } = await memory();
  const request = {
    prompt: "USER: <image>\nWhat is it? ASSISTANT:",
    images: [await coarseNoise(640, 480, 1)],
    temperature: 0,
    maxTokens: 4,
  };
  for await (const event of engine.generate(request)) if (event.type === "error") throw event.error;
  return {
    loadSeconds,
    cpuSeconds: (user + system) / 1e6,
    loadedBytes: resident,
    peakBytes: peak,
    answeredBytes: (await memory()).resident,
    loadAverage: loadavg()[0] ?? 0,
  };
}

/** Without a terminal: a line for each quarter. */
function tell(): NonNullable<EngineOptions["onProgress"]> {
  let last = "";
  return ({ phase, done, total, unit }) => {
    if (unit !== "bytes") return;
    const line = `${phase}: ${25 * Math.floor((4 * done) / total)} %`;
    if (line !== last) console.error(line);
    last = line;
  };
}

/** Resident pages, those of mapped files too. Only Linux tells the peak. */
async function memory(): Promise<{ resident: number; peak: number }> {
  const status = await readFile("/proc/self/status", "utf8").catch(() => "");
  const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  const resident = process.memoryUsage.rss();
  return { resident, peak: Math.max(peak, resident) };
}

async function sizeOf(directory: string): Promise<number> {
  const names = await readdir(directory).catch(() => []);
  const files = names.filter((name) => name.endsWith(".safetensors"));
  const sizes = await Promise.all(files.map(async (name) => (await stat(path.join(directory, name))).size));
  return sizes.reduce((a, b) => a + b, 0);
}
