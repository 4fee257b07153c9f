/** Opens the page for a test in a new window and collects the browser's error messages. */
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from "playwright-core";
import { TEST_TIMEOUTS } from "@llava/testing/test-timeouts";

export class Visit implements AsyncDisposable {
  readonly page: Page;
  /** Errors and warnings of the console, among them violations of the content policy. */
  readonly complaints: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.setDefaultTimeout(TEST_TIMEOUTS.timeout);
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.complaints.push(message.text());
    });
  }

  static async open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Visit> {
    return await Visit.in(await browser.newContext(options), url);
  }

  /** Opens the page in an existing window with its stored data. */
  static async in(context: BrowserContext, url: string): Promise<Visit> {
    const visit = new Visit(await context.newPage());
    await visit.page.goto(url);
    return visit;
  }

  /** Waits until a model can be asked. */
  async whenReady(): Promise<void> {
    await this.page.locator('.model-picker[data-state="ready"]').waitFor();
  }

  async type(question: string): Promise<void> {
    await this.question.fill(question);
  }

  async send(question: string): Promise<void> {
    await this.type(question);
    await this.question.press("Enter");
  }

  async chooseSample(title: string): Promise<void> {
    await this.button(title).click();
    await this.attached.waitFor();
  }

  button(name: string | RegExp): Locator {
    return this.page.getByRole("button", { name });
  }

  get question(): Locator {
    return this.page.getByRole("textbox", { name: "Your question" });
  }

  get attached(): Locator {
    return this.page.locator(".attached img");
  }

  /** The text of the last answer. */
  get words(): Locator {
    return this.page.locator(".turn:last-child .words");
  }

  answer(progress: "waiting" | "streaming" | "finished" | "stopped" | "failed"): Locator {
    return this.page.locator(`.turn:last-child .answer[data-progress="${progress}"]`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
  }
}
