/** What a person does first: `npm start`, the page, the sample picture, the question, the answer. Nothing is stood in for. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openBrowser } from "../../../scripts/page/chromium.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** `npm start` on free ports; its output so far is in `out` and `err`. */
class NpmStart {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  out = "";
  err = "";

  constructor() {
    const ports = ["--port", "0", "--controller-port", "0", "--worker-port", "0"];
    const flags = [...ports, "--heartbeat-interval", "0.5", "--verbose"];
    // A process group of its own, so that Ctrl-C can be sent as a terminal sends it: to all of them.
    this.child = spawn("npm", ["start", "--", ...flags], { cwd: ROOT, detached: true });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.out += text));
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.err += text));
    this.ended = new Promise((resolve) => this.child.once("exit", resolve));
  }

  pressCtrlC(): void {
    if (this.child.pid !== undefined) process.kill(-this.child.pid, "SIGINT");
  }

  get page(): string {
    return /open (http\S+)/.exec(this.out)?.[1] ?? "";
  }

  get workerPid(): number {
    return Number([...this.err.matchAll(/\[worker[^\]]*\] .*"pid":(\d+)/g)].at(-1)?.[1]);
  }
}

let service: NpmStart;
let browser: Browser;
let page: Page;

/** Asks on the page; milliseconds to the first word and the whole answer. */
async function ask(question: string): Promise<{ firstWordMs: number; answer: string }> {
  await page.getByLabel("Your question").fill(question);
  const turns = await page.locator(".turn").count();
  const askedAt = performance.now();
  await page.keyboard.press("Enter");
  const turn = page.locator(".turn").nth(turns);
  await vi.waitFor(async () => expect(await turn.locator(".words").textContent()).not.toBe(""), {
    interval: 5,
  });
  const firstWordMs = performance.now() - askedAt;
  await turn.locator('.answer[data-progress="finished"]').waitFor();
  return { firstWordMs, answer: (await turn.locator(".words").textContent()) ?? "" };
}

describe("the first run", () => {
  beforeAll(async () => {
    service = new NpmStart();
    browser = await openBrowser();
    await vi.waitFor(() => expect(service.page).toMatch(/^http/));
    page = await browser.newPage();
    await page.goto(service.page);
  });

  afterAll(async () => {
    await browser?.close();
    service.pressCtrlC();
    await service.ended;
  });

  test("the sample picture and its question get a true answer", async () => {
    await page.getByRole("button", { name: "Shapes" }).click();
    await page.getByLabel("Your question").focus();
    const { firstWordMs, answer } = await ask("What color is the circle?");
    expect(answer).toBe("The circle is red.");
    console.log(`first word after ${firstWordMs.toFixed(0)} ms`);
  });

  test("a further question about the same picture is understood", async () => {
    expect((await ask("And the square?")).answer).toBe("The square is green.");
  });

  test("when the worker is killed the page says so, and goes on by itself when there is a new one", async () => {
    process.kill(service.workerPid, "SIGKILL");
    await page.getByLabel("Your question").fill("Is there a yellow star?");
    await page.keyboard.press("Enter");
    const failure = page.locator(".turn:last-child .failure p");
    await failure.waitFor();
    expect(await failure.textContent()).toMatch(/worker/i);
    await vi.waitFor(() => expect(service.err).toContain("is back on"));
    await page.locator('.model-picker[data-state="ready"]').waitFor();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator('.turn:last-child .answer[data-progress="finished"]').waitFor();
    expect(await page.locator(".turn:last-child .words").textContent()).toBe("Yes, there is a yellow star.");
    expect((await ask("Is the square large or small?")).answer).toBe("The square is small.");
  });
});
