/** Has an image's header read, says that it was, and waits to be killed. */
import { readFileSync } from "node:fs";
import { DecodePool } from "../src/index.ts";

const pool = new DecodePool();
const file = readFileSync(new URL("./golden/wide.png", import.meta.url));
await pool.header(file);
process.stdout.write("ready\n");
setInterval(() => undefined, 1000);
