/** The page as it is served, built for a test run into a folder of its own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "vite";

const CONFIG = fileURLToPath(new URL("../vite.config.ts", import.meta.url));

export interface BuiltPage extends AsyncDisposable {
  readonly folder: string;
}

export async function buildPage(): Promise<BuiltPage> {
  const folder = await mkdtemp(join(tmpdir(), "llava-page-"));
  await build({ configFile: CONFIG, logLevel: "warn", build: { outDir: folder } });
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
