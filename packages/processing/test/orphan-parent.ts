/** Has an image decoded, says by whom, and waits to be killed. */
import { readFileSync } from "node:fs";
import { DecodePool } from "../src/index.ts";

const pool = new DecodePool();
const file = readFileSync(new URL("./golden/wide.png", import.meta.url));
await pool.values(file, { size: 32, shape: "pad", mean: [0, 0, 0], std: [1, 1, 1], rescale: 1 / 255 });
process.stdout.write("ready\n");
setInterval(() => undefined, 1000);
