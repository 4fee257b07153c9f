/**
 * Takes the README's images of the page, light and dark, on a desk and on a phone: `npx node scripts/page/screenshot.ts`. Starts a
 * controller and two workers with the demo model for it, and lets them work a while. The page must have been built.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { openBrowser } from "./chromium.ts";

const APPS = path.join(import.meta.dirname, "../../apps");
const SAMPLES = path.join(APPS, "web/src/browser/public/samples");
const TARGET = path.join(APPS, "web/screenshots");
const DEVICES = {
  desk: { viewport: { width: 1280, height: 960 }, deviceScaleFactor: 1.5 },
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 },
} as const;
/** For the charts to have something to show. */
const WORK_MS = 100_000;
const QUESTIONS = ["Describe the image.", "What color is the circle?", "How many shapes are there?"];

const SCENES: Readonly<Record<string, (page: Page, url: string) => Promise<void>>> = {
  chat: async (page) => {
    await chooseShapes(page);
    await ask(page, "What color is the circle?");
    await ask(page, "Describe the image.");
    // Both turns, from the image on.
    await page.locator(".turn").first().scrollIntoViewIfNeeded();
  },
  "heat-map": async (page) => {
    await chooseShapes(page);
    await ask(page, "Describe the image.");
    await page.getByRole("button", { name: "What it looked at" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "star", exact: true }).click();
    await page.getByText("owes most to").waitFor();
  },
  compare: async (page, url) => {
    await page.goto(`${url}/compare`);
    await whenReady(page);
    await page.getByRole("radio", { name: "Blind" }).check();
    const input = page.locator("input[type=file][multiple]").first();
    await input.setInputFiles(path.join(SAMPLES, "counting.png"));
    await page.locator(".attached img").waitFor();
    await send(page, "Describe the image.");
    // A telephone shows one at a time.
    for (const side of await page.locator(".side").all())
      await side.getByText("There is").waitFor({ state: "attached" });
    await page.getByRole("button", { name: "Equally good" }).click();
    await page.getByText("You found both equally good.").scrollIntoViewIfNeeded();
  },
  cluster: async (page, url) => {
    await page.goto(`${url}/cluster`);
    await page.getByText("2 workers up").waitFor();
  },
};

const processes: ChildProcess[] = [];
const browser = await openBrowser();
try {
  const controller = await started("controller/src/main.ts");
  for (const name of ["llava-demo", "llava-demo-2"]) {
    const model = [
      "--model-path",
      path.join(APPS, "../packages/demo/model/llava-demo"),
      "--model-name",
      name,
    ];
    await started("worker/src/main.ts", ...model, "--controller-address", controller);
  }
  const url = await started("web/src/server/main.ts", "--controller-url", controller);
  await mkdir(TARGET, { recursive: true });
  using _work = workOn(url);
  await sleep(WORK_MS);
  for (const name of Object.keys(SCENES))
    for (const colorScheme of ["light", "dark"] as const)
      for (const device of ["desk", "phone"] as const) await take(browser, url, name, colorScheme, device);
} finally {
  await browser.close();
  for (const child of processes.toReversed()) child.kill("SIGTERM");
}

/** The address on which it serves. */
async function started(program: string, ...flags: readonly string[]): Promise<string> {
  const quiet = ["--port", "0", "--log-level", "silent"];
  const child = fork(path.join(APPS, program), [...quiet, ...flags], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  processes.push(child);
  const ended = once(child, "exit").then(() => {
    throw new Error(`${program} ended before it was ready.`);
  });
  ended.catch(() => undefined);
  for (;;) {
    const [message]: unknown[] = await Promise.race([once(child, "message"), ended]);
    if (typeof message !== "object" || message === null || !("type" in message)) continue;
    if (message.type === "ready" && "address" in message) return String(message.address);
  }
}

async function take(
  from: Browser,
  url: string,
  name: string,
  colorScheme: "light" | "dark",
  device: keyof typeof DEVICES,
): Promise<void> {
  const context = await from.newContext({ ...DEVICES[device], colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(url);
  await whenReady(page);
  await SCENES[name]?.(page, url);
  await page.mouse.move(0, 0);
  // Images are painted, and nothing moves any more.
  await page.waitForTimeout(1_200);
  const file = path.join(TARGET, `${name}-${colorScheme}-${device}.webp`);
  await sharp(await page.screenshot())
    .webp({ quality: 86 })
    .toFile(file);
  await context.close();
  console.log(file);
}

async function whenReady(page: Page): Promise<void> {
  await page.locator('.model-picker[data-state="ready"]').waitFor();
}

async function chooseShapes(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Shapes" }).click();
  await page.locator(".attached img").waitFor();
}

async function send(page: Page, question: string): Promise<void> {
  const field = page.getByRole("textbox", { name: "Your question" });
  await field.fill(question);
  await field.press("Enter");
}

async function ask(page: Page, question: string): Promise<void> {
  await send(page, question);
  await page.locator(".turn:last-child h2", { hasText: question }).waitFor();
  await page.locator('.turn:last-child .answer[data-progress="finished"]').waitFor();
}

/** Asks the workers now and then, as people would, until it is disposed of. */
function workOn(url: string): Disposable {
  const over = new AbortController();
  const { signal } = over;
  const work = async (model: string, pauseMs: number): Promise<void> => {
    while (!signal.aborted) {
      const content = QUESTIONS[Math.floor(Math.random() * QUESTIONS.length)];
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model, stream: true, messages: [{ role: "user", content }] }),
        signal,
      });
      await response.text();
      await sleep(Math.random() * pauseMs, undefined, { signal });
    }
  };
  // A failure at the end, or a question that finds all slots taken, does not change the pictures.
  const models = ["llava-demo", "llava-demo", "llava-demo-2"];
  for (const [index, model] of models.entries()) void work(model, 400 * (index + 1)).catch(() => undefined);
  return { [Symbol.dispose]: () => over.abort() };
}
