/** Takes the README's picture of the page answering: `node scripts/screenshot.ts`. Starts the whole service for it. */
import { spawn } from "node:child_process";
import path from "node:path";
import { openBrowser } from "./browser.ts";

const ROOT = path.join(import.meta.dirname, "..");
const TARGET = path.join(ROOT, "apps/web/screenshot.png");
const QUESTIONS = ["What color is the circle?", "Describe the image."];

const ports = ["--port", "0", "--controller-port", "0", "--worker-port", "0"];
const service = spawn(process.execPath, [path.join(ROOT, "apps/cli/src/main.ts"), "serve", ...ports], {
  stdio: ["ignore", "pipe", "inherit"],
});
try {
  await takePicture(await readyUrl());
} finally {
  service.kill("SIGTERM");
}
console.log(TARGET);

/** What the service says when all of it can answer. */
async function readyUrl(): Promise<string> {
  return await new Promise((resolve, reject) => {
    let said = "";
    service.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      const found = /open (http\S+)/.exec(said)?.[1];
      if (found) resolve(found);
    });
    service.once("error", reject);
    service.once("exit", (code) => reject(new Error(`llava serve ended with exit code ${code}.`)));
  });
}

async function takePicture(url: string): Promise<void> {
  const browser = await openBrowser();
  try {
    const page = await browser.newPage({ viewport: { width: 1180, height: 860 }, colorScheme: "light" });
    await page.goto(url);
    await page.getByRole("button", { name: "Shapes" }).click();
    for (const question of QUESTIONS) {
      await page.getByLabel("Your question").fill(question);
      await page.keyboard.press("Enter");
      await page.locator('.turn:last-child .answer[data-progress="finished"]').waitFor();
      await page.waitForTimeout(500);
    }
    await page.screenshot({ path: TARGET });
  } finally {
    await browser.close();
  }
}
