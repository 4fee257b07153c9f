/** Compares the dispatch methods on one trace, in simulated time: `npm run simulate:dispatch`. */
import { readFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { DISPATCH_METHODS } from "../../apps/controller/src/registry/dispatch.ts";
import { simulate, type SimulationResult } from "./dispatch-simulation.ts";
import { drawTrace, formatTrace, parseTrace } from "./dispatch-trace.ts";
import { wholeNumber } from "../support/script-flags.ts";

const HELP = `Sends a trace through the controller's registry and each of its dispatch methods, to simulated workers.

  npm run simulate:dispatch -- [--seed 1] [--conversations 2000] [--workers 4] [--trace FILE] [--write-trace FILE]

Times are simulated and depend on nothing but these flags. Running requests do not slow each other down.

  --trace          requests to replay, JSON lines such as
                   {"at_ms":0,"conversation":"c1","images":["p1"],"new_tokens":40}
                   (default: drawn from the seed; conversations begin at random times, each has five questions on
                   average about one image, and every fifth conversation shares its image with others)
  --write-trace    also write the requests to a file
  --seed           of the trace and of the methods' random choices (default 1)
  --conversations  how many conversations are drawn (default 2000)
  --per-minute     how many conversations begin in a minute (default 40)
  --workers        how many workers there are (default 4)
  --slots          requests that a worker runs at the same time (default 4)
  --max-waiting    requests that may wait in a worker (default 16)
  --cache          images that a worker caches (default 32)
  --prompt-ms      time of every prompt before its first token (default 100)
  --image-ms       time that an image adds which is not cached (default 1500)
  --cached-ms      time that a cached image adds (default 50)
  --token-ms       time between two tokens (default 40)
  --heartbeat-s    time between two reports of a worker (default 15)`;

const count = (value: string) => ({ type: "string", default: value }) as const;
const { values: flags } = parseArgs({
  options: {
    trace: { type: "string" },
    "write-trace": { type: "string" },
    seed: count("1"),
    conversations: count("2000"),
    "per-minute": count("40"),
    workers: count("4"),
    slots: count("4"),
    "max-waiting": count("16"),
    cache: count("32"),
    "prompt-ms": count("100"),
    "image-ms": count("1500"),
    "cached-ms": count("50"),
    "token-ms": count("40"),
    "heartbeat-s": count("15"),
    help: { type: "boolean", short: "h", default: false },
  },
});

if (flags.help) {
  console.log(HELP);
  process.exit(0);
}

const seed = wholeNumber("--seed", flags.seed, [0, 2 ** 32 - 1]);
const conversations = wholeNumber("--conversations", flags.conversations, [1, 100_000]);
const rate = wholeNumber("--per-minute", flags["per-minute"], [1, 1_000_000]) / 60;
const trace =
  flags.trace === undefined
    ? drawTrace({ seed, conversations, rate })
    : parseTrace(await readFile(flags.trace, "utf8"));
if (flags["write-trace"] !== undefined) await writeFile(flags["write-trace"], formatTrace(trace));

const fleet = {
  workers: wholeNumber("--workers", flags.workers, [1, 1024]),
  slots: wholeNumber("--slots", flags.slots, [1, 1024]),
  maxWaiting: wholeNumber("--max-waiting", flags["max-waiting"], [0, 100_000]),
  cachedImages: wholeNumber("--cache", flags.cache, [0, 256]),
  promptMs: wholeNumber("--prompt-ms", flags["prompt-ms"], [0, 3_600_000]),
  imageMs: wholeNumber("--image-ms", flags["image-ms"], [0, 3_600_000]),
  cachedMs: wholeNumber("--cached-ms", flags["cached-ms"], [0, 3_600_000]),
  tokenMs: wholeNumber("--token-ms", flags["token-ms"], [0, 60_000]),
  heartbeatMs: 1000 * wholeNumber("--heartbeat-s", flags["heartbeat-s"], [1, 3600]),
};

console.log(
  `${trace.length} requests of ${new Set(trace.map(({ conversation }) => conversation)).size} conversations ` +
    `to ${fleet.workers} workers, simulated; times in ms\n`,
);
const HEAD = ["method", "hits", "wait mean", "p50", "p99", "first token mean", "p50", "p99", "refused"];
print([HEAD, ...DISPATCH_METHODS.map((method) => row(simulate(method, trace, fleet, seed)))]);

function row({ method, images, hits, waitMs, firstTokenMs, refused }: SimulationResult): string[] {
  const share = images === 0 ? "-" : `${((100 * hits) / images).toFixed(1)} %`;
  return [method, share, ...summary(waitMs), ...summary(firstTokenMs), String(refused)];
}

/** Mean, median and 99th percentile. */
function summary(values: readonly number[]): string[] {
  if (values.length === 0) return ["-", "-", "-"];
  const sorted = values.toSorted((one, other) => one - other);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return [mean, at(0.5), at(0.99)].map((value) => value.toFixed(0));
}

function print(rows: readonly (readonly string[])[]): void {
  const widths = HEAD.map((_head, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  for (const cells of rows) {
    const padded = cells.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    console.log(padded.join("  "));
  }
}
