/** Measures what the controller costs on this machine: `npm run bench:controller`. Its workers are fake, its code is not. */
import path from "node:path";
import { parseArgs } from "node:util";
import { benchBodies } from "./bodies.ts";
import { benchLatency } from "./latency.ts";
import { benchStreams } from "./stream-bench.ts";
import { mergeResults, RESULTS, thisMachine } from "../results/bench-results.ts";
import { type Row, table } from "../results/bench-row.ts";
import { refuse, wholeNumber } from "../../support/script-flags.ts";

const PARTS = ["latency", "streams", "bodies"];

const HELP = `Measures the controller, with workers that answer at once and have no model.

  npm run bench:controller -- [--only latency|streams|bodies] [--rounds 2000] [--workers 1000] [--streams 5000] [--write]

Other programs spoil the numbers: let the machine be quiet. The whole takes two minutes and three processes; each stream
takes two open files of the controller (ulimit -n).

  --only         one part: "latency" (what it adds to an answer), "streams" (many workers and streams), "bodies" (20 MB)
  --rounds       requests with text, to the worker and through the controller in turns (default 2000; a quarter with an image)
  --workers      how many register and beat (default 1000)
  --streams      answers at the same time (default 5000)
  --rate         streams opened a second (default 200)
  --piece-ms     time between two pieces of a stream (default 2000)
  --hold         seconds that all streams run side by side (default 15)
  --heartbeat    seconds between a worker's heartbeats (default 15)
  --bodies       how many bodies of 20 MB (default 100)
  --at-once      of them at the same time (default 4)
  --log-level    of the controller (default info, which writes a line for each request)
  --cpu-profile  folder for the controller's CPU profile
  --write        also write scripts/bench/results/bench-results.json`;

const count = (value: string) => ({ type: "string", default: value }) as const;
const { values: flags } = parseArgs({
  options: {
    only: { type: "string" },
    rounds: count("2000"),
    workers: count("1000"),
    streams: count("5000"),
    rate: count("200"),
    "piece-ms": count("2000"),
    hold: count("15"),
    heartbeat: count("15"),
    bodies: count("100"),
    "at-once": count("4"),
    "log-level": { type: "string", default: "info" },
    "cpu-profile": { type: "string" },
    write: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (flags.help) {
  console.log(HELP);
  process.exit(0);
}
const { only } = flags;
if (only !== undefined && !PARTS.includes(only))
  refuse(`--only is "${only}"; it may be ${PARTS.join(", ")}.`);
const rounds = wholeNumber("--rounds", flags.rounds, [10, 1_000_000]);
const streams = wholeNumber("--streams", flags.streams, [1, 30_000]);
const plan = {
  workers: wholeNumber("--workers", flags.workers, [1, 1024]),
  streams,
  rate: wholeNumber("--rate", flags.rate, [1, 10_000]),
  pieceMs: wholeNumber("--piece-ms", flags["piece-ms"], [1, 60_000]),
  holdS: wholeNumber("--hold", flags.hold, [1, 600]),
  heartbeatS: wholeNumber("--heartbeat", flags.heartbeat, [1, 60]),
  profile: flags["cpu-profile"],
};
const requests = wholeNumber("--bodies", flags.bodies, [2, 10_000]);
const atOnce = wholeNumber("--at-once", flags["at-once"], [1, 16]);
const level = ["--log-level", flags["log-level"]];
// Workers' heartbeats come by connections of their own.
const manyFlags = [...level, "--max-connections", String(streams + plan.workers + 100)];

const rows: Row[] = [];
if (only === undefined || only === "latency")
  rows.push(...(await benchLatency({ rounds, controllerFlags: level, profile: plan.profile })));
if (only === undefined || only === "streams")
  rows.push(...(await benchStreams({ ...plan, controllerFlags: manyFlags })));
if (only === undefined || only === "bodies")
  rows.push(...(await benchBodies({ requests, atOnce, controllerFlags: level })));

const machine = thisMachine();
console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.platform}, Node ${machine.node}\n`);
console.log(table(rows));
if (flags.write) {
  await mergeResults({ controller: { ...machine, rows } });
  console.log(`\nWritten to ${path.relative(process.cwd(), RESULTS)}.`);
}
