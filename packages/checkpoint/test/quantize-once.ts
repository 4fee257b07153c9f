/** A process that opens quantized weights and prints what it had to do for it: for tests of several at once. */
import { Checkpoint, openQuantized } from "../src/index.ts";

const [folder = "", cache = ""] = process.argv.slice(2);
const blocks = new Map([["half", { bits: 4, blockSize: 32 } as const]]);
const plan = { stored: ["norm"], blocks };
const phases = new Set<string>();
const weights = await openQuantized(await Checkpoint.open(folder), plan, {
  cache,
  onProgress: ({ phase }) => phases.add(phase),
});
console.log([...phases, `half ${weights.blocks("half")?.bits}`].join("\n"));
