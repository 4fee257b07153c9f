/**
 * Many clients at once on one engine, with mixed images, questions, lengths and departures; then what is left of them:
 * `npm run soak:engine -- --minutes 10`.
 */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Engine, type GenerateRequest } from "@llava/engine";
import { mergeResults, thisMachine } from "./results/bench-results.ts";
import { percentile } from "./results/bench-row.ts";
import { oneOf, seeded, wholeFrom } from "../support/seeded-random.ts";
import { refuse, wholeNumber } from "../support/script-flags.ts";

const HELP = `npm run soak:engine -- [flags]

  --minutes <number>   how long (default: 10)
  --clients <number>   at once (default: 32)
  --running <number>   requests that are computed together (default: 8)
  --seed <number>      of what is asked and when clients leave (default: drawn; a run prints its own)
  --model <folder>     default: the demo model
  --write              put the figures into scripts/bench/results/bench-results.json`;

const DEMO_MODEL = path.join(import.meta.dirname, "../../packages/demo/model/llava-demo");
const SAMPLES = path.join(import.meta.dirname, "../../apps/web/src/browser/public/samples");
const QUESTIONS = [
  "What color is the circle?",
  "What character is shown?",
  "Describe the picture.",
  "How many squares are there?",
  "Who are you?",
] as const;
/** As often as this a client leaves before its answer is whole. */
const LEAVING = 0.25;
/** How often memory is looked at. */
const SAMPLE_MS = 5_000;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    clients: { type: "string", default: "32" },
    running: { type: "string", default: "8" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    model: { type: "string", default: DEMO_MODEL },
    write: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) console.log(HELP);
else process.exitCode = (await soak()) ? 0 : 1;

interface Tally {
  whole: number;
  left: number;
  readonly errors: Map<string, number>;
  /** Milliseconds to the first token. */
  readonly waits: number[];
  tokens: number;
}

async function soak(): Promise<boolean> {
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= 1440))
    refuse(`--minutes is "${values.minutes}"; it must be above 0, up to 1440.`);
  const numClients = wholeNumber("--clients", values.clients, [1, 256]);
  const maxRunning = wholeNumber("--running", values.running, [1, 64]);
  const seed = wholeNumber("--seed", values.seed, [0, 2 ** 31]);
  console.log(`seed ${seed}`);
  const images = await sampleImages();
  await using engine = await Engine.load(values.model, { maxRunning, maxWaiting: numClients });
  const tally: Tally = { whole: 0, left: 0, errors: new Map(), waits: [], tokens: 0 };
  const untilMs = performance.now() + minutes * 60_000;
  const memory: number[] = [];
  const clients = Array.from({ length: numClients }, async (_, i) => {
    await beClient(engine, images, seed + i, untilMs, tally);
  });
  const watching = watchMemory(untilMs, memory, tally);
  await Promise.all([...clients, watching]);
  return await report(engine, tally, memory, minutes, { numClients, maxRunning, seed });
}

async function beClient(
  engine: Engine,
  images: readonly Uint8Array[],
  seed: number,
  untilMs: number,
  tally: Tally,
): Promise<void> {
  const random = seeded(seed);
  while (performance.now() < untilMs) {
    const request = drawRequest(random, images);
    const leaveAfter = random() < LEAVING ? wholeFrom(random, 0, 20) : Number.POSITIVE_INFINITY;
    const client = new AbortController();
    if (leaveAfter === 0) setTimeout(() => client.abort(), wholeFrom(random, 0, 200));
    let deltas = 0;
    for await (const event of engine.generate(request, client.signal)) {
      if (event.type === "text-delta") {
        deltas += 1;
        if (deltas === leaveAfter) client.abort();
      } else if (event.type === "finished") {
        tally.whole += 1;
        tally.tokens += event.usage.completionTokens;
        tally.waits.push(event.timings.firstTokenMs);
      } else if (event.error.code === "cancelled") tally.left += 1;
      else tally.errors.set(event.error.message, (tally.errors.get(event.error.message) ?? 0) + 1);
    }
  }
}

function drawRequest(random: () => number, samples: readonly Uint8Array[]): GenerateRequest {
  const count = oneOf(random, [0, 1, 1, 1, 2]);
  const images = Array.from({ length: count }, () => oneOf(random, samples));
  const text = `${"<image>\n".repeat(count)}${oneOf(random, QUESTIONS)}`;
  const isGreedy = random() < 0.5;
  return {
    prompt: [{ role: "user", text }],
    images,
    maxTokens: wholeFrom(random, 1, 120),
    ...(isGreedy ? { temperature: 0 } : { temperature: 1.5, seed: wholeFrom(random, 0, 1000) }),
  };
}

async function sampleImages(): Promise<readonly Uint8Array[]> {
  const names = (await readdir(SAMPLES)).filter((name) => name.endsWith(".png"));
  return await Promise.all(names.map(async (name) => await readFile(path.join(SAMPLES, name))));
}

async function watchMemory(untilMs: number, memory: number[], tally: Tally): Promise<void> {
  while (performance.now() < untilMs) {
    await sleep(Math.min(SAMPLE_MS, Math.max(1, untilMs - performance.now())));
    memory.push(process.memoryUsage.rss() / 2 ** 20);
    const left = Math.max(0, Math.ceil((untilMs - performance.now()) / 1000));
    if (process.stdout.isTTY)
      process.stdout.write(`\r${tally.whole} answers, ${tally.left} left early, ${left} s to go `);
  }
  if (process.stdout.isTTY) process.stdout.write("\n");
}

async function report(
  engine: Engine,
  tally: Tally,
  memory: readonly number[],
  minutes: number,
  settings: Readonly<Record<string, number>>,
): Promise<boolean> {
  const { occupancy, holdings } = engine;
  const isEmpty =
    occupancy.running === 0 &&
    occupancy.waiting === 0 &&
    holdings.slotsInUse === 0 &&
    holdings.featuresInUse === 0;
  // The caches fill first; from then on nothing may grow.
  const early = memory[Math.floor(memory.length / 5)] ?? Number.NaN;
  const figures = {
    minutes,
    ...settings,
    answers: tally.whole,
    leftEarly: tally.left,
    errors: Object.fromEntries(tally.errors),
    tokensPerSecond: tally.tokens / (minutes * 60),
    firstTokenMs: {
      p50: percentile(tally.waits, 0.5),
      p99: percentile(tally.waits, 0.99),
      worst: Math.max(...tally.waits),
    },
    rssMiB: { early, last: memory.at(-1), most: Math.max(...memory) },
    holdings,
    isEmpty,
  };
  console.log(JSON.stringify(figures, null, 2));
  if (values.write) await mergeResults({ engineSoak: { machine: thisMachine(), ...figures } });
  return isEmpty && tally.errors.size === 0 && tally.whole > 0;
}
