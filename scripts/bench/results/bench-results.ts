/** The committed file of the bench's figures: each script writes its own part and leaves the others' as they are. */
import { readFile, writeFile } from "node:fs/promises";
import { arch, cpus, platform, totalmem } from "node:os";
import path from "node:path";

export const RESULTS = path.join(import.meta.dirname, "bench-results.json");

export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly platform: string;
  readonly node: string;
}

export function thisMachine(): Machine {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${platform()} ${arch()}`,
    node: process.version,
  };
}

/** Puts `fields` in place of those of the same names. */
export async function mergeResults(fields: Readonly<Record<string, unknown>>): Promise<void> {
  const merged = { ...(await readResults()), ...fields };
  await writeFile(RESULTS, `${JSON.stringify(merged, null, 2)}\n`);
}

/** All fields; none when there is no file. */
export async function readResults(): Promise<Record<string, unknown>> {
  const results: unknown = JSON.parse(await readFile(RESULTS, "utf8").catch(() => "{}"));
  return typeof results === "object" && results !== null ? { ...results } : {};
}
