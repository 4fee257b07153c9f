/**
 * Takes the README's pictures of the page, light and dark, on a desk and on a phone: `node scripts/screenshot.ts`. Starts a
 * controller and two workers with the demo model for it, and lets them work a while.
 */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { buildPage } from "../apps/web/test/built-page.ts";
import { Visit } from "../apps/web/test/visit.ts";
import { WholeService } from "../apps/web/test/whole-service.ts";
import { openBrowser } from "./browser.ts";

const TARGET = path.join(import.meta.dirname, "../apps/web/screenshots");
const DEVICES = {
  desk: { viewport: { width: 1280, height: 960 }, deviceScaleFactor: 1.5 },
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 },
} as const;
/** For the charts to have something to show. */
const WORK_MS = 100_000;
const QUESTIONS = ["Describe the image.", "What color is the circle?", "How many shapes are there?"];

const SCENES: Readonly<Record<string, (visit: Visit, url: string) => Promise<void>>> = {
  chat: async (visit) => {
    await visit.chooseSample("Shapes");
    await visit.button("What color is the circle?").click();
    await visit.answer("finished").waitFor();
    await visit.send("Describe the image.");
    await visit.answer("finished").waitFor();
    // Both turns, from the picture on.
    await visit.page.locator(".turn").first().scrollIntoViewIfNeeded();
  },
  "heat-map": async (visit) => {
    await visit.chooseSample("Shapes");
    await visit.send("Describe the image.");
    await visit.answer("finished").waitFor();
    await visit.button("What it looked at").click();
    await visit.page.getByRole("dialog").getByRole("button", { name: "star", exact: true }).click();
    await visit.page.getByText("owes most to").waitFor();
  },
  compare: async (visit, url) => {
    await visit.page.goto(`${url}/compare`);
    await visit.whenReady();
    await visit.page.getByRole("radio", { name: "Blind" }).check();
    const input = visit.page.locator("input[type=file][multiple]").first();
    await input.setInputFiles(
      path.join(import.meta.dirname, "../apps/web/src/browser/public/samples/counting.png"),
    );
    await visit.attached.waitFor();
    await visit.send("Describe the image.");
    await visit.button("Equally good").waitFor();
    await visit.page
      .getByText("shapes")
      .first()
      .waitFor({ timeout: 5_000 })
      .catch(() => undefined);
    await visit.button("Equally good").click();
    await visit.page.getByText("You found both equally good.").waitFor();
  },
  cluster: async (visit, url) => {
    await visit.page.goto(`${url}/cluster`);
    await visit.page.getByText("2 workers up").waitFor();
  },
};

const [built, browser] = await Promise.all([buildPage(), openBrowser()]);
const service = await WholeService.start(built.folder, ["llava-demo", "llava-demo-2"]);
try {
  await mkdir(TARGET, { recursive: true });
  using _load = workOn(service.url);
  await sleep(WORK_MS);
  for (const name of Object.keys(SCENES))
    for (const colorScheme of ["light", "dark"] as const)
      for (const device of ["desk", "phone"] as const) await take(browser, name, colorScheme, device);
} finally {
  await browser.close();
  await service[Symbol.asyncDispose]();
  await built[Symbol.asyncDispose]();
}

async function take(
  from: Browser,
  name: string,
  colorScheme: "light" | "dark",
  device: keyof typeof DEVICES,
): Promise<void> {
  const options = { ...DEVICES[device], colorScheme, reducedMotion: "reduce" } as const;
  await using visit = await Visit.open(from, service.url, options);
  await visit.whenReady();
  await SCENES[name]?.(visit, service.url);
  await settled(visit.page);
  const file = path.join(TARGET, `${name}-${colorScheme}-${device}.webp`);
  await sharp(await visit.page.screenshot())
    .webp({ quality: 86 })
    .toFile(file);
  console.log(file);
}

/** Pictures are painted, and nothing moves any more. */
async function settled(page: Page): Promise<void> {
  await page.mouse.move(0, 0);
  await page.waitForTimeout(1_200);
}

/** Asks the workers now and then, as people would, until it is disposed of. */
function workOn(url: string): Disposable {
  let isOver = false;
  const ask = async (model: string, pauseMs: number): Promise<void> => {
    while (!isOver) {
      const content = QUESTIONS[Math.floor(Math.random() * QUESTIONS.length)];
      await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model, stream: true, messages: [{ role: "user", content }] }),
      })
        .then(async (response) => await response.text())
        .catch(() => undefined);
      await sleep(Math.random() * pauseMs);
    }
  };
  for (const pauseMs of [400, 900, 1_500]) void ask("llava-demo", pauseMs);
  void ask("llava-demo-2", 700);
  return { [Symbol.dispose]: () => void (isOver = true) };
}
