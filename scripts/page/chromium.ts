/** A browser to look at pages with. */
import { chromium } from "playwright-core";
import type { Browser, BrowserContext, LaunchOptions } from "playwright-core";

/** Debian's, unless LLAVA_CHROMIUM names another; scripts/vitest.config.ts leaves these tests out where there is none. */
export const CHROMIUM = process.env["LLAVA_CHROMIUM"] ?? "/usr/bin/chromium";

/** Headless, and without the browser's own talk to the outside. */
const OPTIONS: LaunchOptions = {
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
    // A camera that everybody may use: it shows a ball on green.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
  ],
};

export async function openBrowser(): Promise<Browser> {
  return chromium.launch(OPTIONS);
}

/** One that remembers in `folder` what it is told, as a person's own does. */
export async function openProfile(folder: string): Promise<BrowserContext> {
  return chromium.launchPersistentContext(folder, OPTIONS);
}
