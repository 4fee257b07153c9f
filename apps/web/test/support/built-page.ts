/** Builds the page for a test run into a folder of its own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "vite";

const CONFIG = fileURLToPath(new URL("../../vite.config.ts", import.meta.url));

export interface BuiltPage extends AsyncDisposable {
  readonly folder: string;
}

/** @param root the folder of another page's index.html */
export async function buildPage(root?: string): Promise<BuiltPage> {
  const folder = await mkdtemp(join(tmpdir(), "llava-page-"));
  const other = root === undefined ? {} : { root };
  await build({ configFile: CONFIG, logLevel: "warn", ...other, build: { outDir: folder } });
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
