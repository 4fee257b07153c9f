/** A thousand streams whose clients leave at random moments: `node scripts/abort-storm.ts`. Prints what the servers hold. */
import { parseArgs } from "node:util";
import { describe } from "./faults/closing.ts";
import { startFleet } from "./faults/fleet.ts";
import { storm, type Holding } from "./faults/storm.ts";
import { wholeNumber } from "./flags.ts";

const HELP = `node scripts/abort-storm.ts [flags]

  --streams <number>   default: 1000
  --seed <number>      of who leaves when (default: 1)`;

const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) console.log(HELP);
else process.exitCode = (await run()) ? 0 : 1;

async function run(): Promise<boolean> {
  const numStreams = wholeNumber("--streams", values.streams, [10, 1_000_000]);
  const seed = wholeNumber("--seed", values.seed, [0, 2 ** 31]);
  await using fleet = await startFleet(1, seed, []);
  const { endings, holdings, empty } = await storm(fleet, numStreams, seed);
  for (const [name, number] of endings) console.log(`${String(number).padStart(6)} ${name}`);
  for (const [name, samples] of holdings) {
    console.log(name);
    for (const [index, sample] of samples.entries()) console.log(`  ${index + 1}  ${describe(sample)}, ${inUse(sample)}`);
  }
  console.log(empty.faults.length === 0 ? `Holds: ${empty.rule}.` : empty.faults.join("\n"));
  return empty.faults.length === 0;
}

function inUse({ heapMiB, externalMiB }: Holding): string {
  return `in use ${heapMiB.toFixed(1)} MiB of objects and ${externalMiB.toFixed(1)} MiB outside the heap`;
}
