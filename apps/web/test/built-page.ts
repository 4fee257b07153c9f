/** The page as it is served, built for a test run into a folder of its own, and a browser to look at it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";
import { build } from "vite";

const CONFIG = fileURLToPath(new URL("../vite.config.ts", import.meta.url));
const CHROMIUM = process.env["LLAVA_CHROMIUM"] ?? "/usr/bin/chromium";

export interface BuiltPage extends AsyncDisposable {
  readonly folder: string;
}

export async function buildPage(): Promise<BuiltPage> {
  const folder = await mkdtemp(join(tmpdir(), "llava-page-"));
  await build({ configFile: CONFIG, logLevel: "warn", build: { outDir: folder } });
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

/** Headless, and without the browser's own talk to the outside. */
export async function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-default-apps",
      "--disable-domain-reliability",
      "--disable-sync",
      "--no-first-run",
    ],
  });
}
