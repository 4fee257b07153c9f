/** The page as it is served, before the stage, and a browser that looks at it. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Browser, CDPSession, Page } from "playwright-core";
import { openBrowser } from "../../page/chromium.ts";
import { Stage } from "./stage.ts";

const WEB = fileURLToPath(new URL("../../../apps/web/src/server/main.ts", import.meta.url));

const FINISHED_POLL_MS = 100;

export interface Service extends AsyncDisposable {
  readonly stage: Stage;
  readonly browser: Browser;
  readonly url: string;
}

export async function startService(): Promise<Service> {
  const stage = new Stage();
  const controllerUrl = await stage.open();
  const web = fork(WEB, ["--port", "0", "--controller-url", controllerUrl], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const [ready]: unknown[] = await Promise.race([
    once(web, "message"),
    once(web, "exit").then(() => {
      throw new Error('The web server ended before it was ready. Was the page built? "npm run build" does.');
    }),
  ]);
  if (typeof ready !== "object" || ready === null || !("address" in ready))
    throw new Error("The web server did not say where it listens.");
  const browser = await openBrowser();
  return {
    stage,
    browser,
    url: String(ready.address),
    [Symbol.asyncDispose]: async () => {
      await browser.close();
      const ended = once(web, "exit");
      web.kill("SIGTERM");
      await ended;
      await stage[Symbol.asyncDispose]();
    },
  };
}

/** A fresh window on the page, its processor slowed by so much. */
export class Window implements AsyncDisposable {
  readonly page: Page;
  readonly session: CDPSession;

  private constructor(page: Page, session: CDPSession) {
    this.page = page;
    this.session = session;
  }

  static async open({ browser, url }: Service, slowdown: number): Promise<Window> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    await page.goto(url);
    await page.locator('.model-picker[data-state="ready"]').waitFor();
    const session = await context.newCDPSession(page);
    await session.send("Emulation.setCPUThrottlingRate", { rate: slowdown });
    return new Window(page, session);
  }

  /** Resolves when the first word is shown. */
  async ask(question: string): Promise<void> {
    const field = this.page.getByRole("textbox", { name: "Your question" });
    await field.fill(question);
    await field.press("Enter");
    await this.page.locator('.turn:last-child .answer:not([data-progress="waiting"])').waitFor();
  }

  /** Looks seldom, for looking costs the page time. */
  async untilFinished(): Promise<void> {
    const last = this.page.locator(".turn:last-child .answer");
    while ((await last.getAttribute("data-progress")) !== "finished") await sleep(FINISHED_POLL_MS);
  }

  /** What is added to this process's milliseconds to have the page's. */
  async clockOffsetMs(): Promise<number> {
    let best = { roundTripMs: Infinity, offsetMs: 0 };
    for (let i = 0; i < 30; i++) {
      const beforeMs = performance.now();
      const pageMs = await this.page.evaluate<number>("performance.now()");
      const roundTripMs = performance.now() - beforeMs;
      if (roundTripMs < best.roundTripMs)
        best = { roundTripMs, offsetMs: pageMs - beforeMs - roundTripMs / 2 };
    }
    return best.offsetMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
  }
}
