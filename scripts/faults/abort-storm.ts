/**
 * Starts a thousand streams whose clients leave at random moments and prints the servers' memory and files:
 * `npx node scripts/faults/abort-storm.ts`.
 */
import { parseArgs } from "node:util";
import { describe } from "./history/closing.ts";
import { startFleet } from "./fleet/proxied-fleet.ts";
import { machineLine, writeSection } from "./faults-readme.ts";
import { storm, type Holding } from "./storm.ts";
import { wholeNumber } from "../support/script-flags.ts";

const HELP = `npx node scripts/faults/abort-storm.ts [flags]

  --streams <number>   how many streams are started (default: 1000)
  --seed <number>      of the moments at which clients leave (default: 1)
  --write              put the figures into scripts/faults/README.md`;

const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    write: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) console.log(HELP);
// Without `exit` Node 24 sometimes loops for ever while it closes reset connections, after everything else has ended.
else process.exit((await run()) ? 0 : 1);

async function run(): Promise<boolean> {
  const numStreams = wholeNumber("--streams", values.streams, [10, 1_000_000]);
  const seed = wholeNumber("--seed", values.seed, [0, 2 ** 31]);
  await using fleet = await startFleet(1, seed, []);
  const { endings, holdings, empty } = await storm(fleet, numStreams, seed);
  const lines = [...endings].map(([name, number]) => `${String(number).padStart(6)} ${name}`);
  for (const [name, samples] of holdings) {
    lines.push(name);
    for (const [index, sample] of samples.entries())
      lines.push(`${String(index + 1).padStart(4)}  ${describe(sample)}, ${inUse(sample)}`);
  }
  lines.push(empty.faults.length === 0 ? `Holds: ${empty.rule}.` : empty.faults.join("\n"));
  console.log(lines.join("\n"));
  if (values.write) await writeSection("storm", section(numStreams, lines));
  return empty.faults.length === 0;
}

function inUse({ heapMiB, heapRoomMiB, externalMiB }: Holding): string {
  const heap = `${heapMiB.toFixed(1)} of ${heapRoomMiB.toFixed(1)} MiB of the heap`;
  return `in use ${heap} and ${externalMiB.toFixed(1)} MiB outside it`;
}

function section(numStreams: number, lines: readonly string[]): string {
  return `## ${numStreams} streams whose clients leave

Measured ten times, without requests and after a collection. The young generation of the collector is limited to 4 MiB. Without
a limit it is doubled under load and stays so: then a process grows in steps while the memory in use does not. Last on ${machineLine()}.

\`\`\`
${lines.join("\n")}
\`\`\``;
}
