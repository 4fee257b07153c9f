import { LlavaError } from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { createApp } from "../../src/server/web-app.ts";
import { openBrowser } from "../../../../scripts/page/chromium.ts";
import { buildPage } from "../support/built-page.ts";
import type { BuiltPage } from "../support/built-page.ts";
import { ControllerStage, card } from "../support/controller-stage.ts";
import type { Exchange } from "../support/controller-stage.ts";
import { Visit } from "../support/visit.ts";

let built: BuiltPage;
let browser: Browser;
let stage: ControllerStage;
let app: FastifyInstance;
let url: string;
let visit: Visit;

beforeAll(async () => {
  [built, browser] = await Promise.all([buildPage(), openBrowser()]);
});
afterAll(async () => {
  await browser.close();
  await built[Symbol.asyncDispose]();
});
beforeEach(async () => {
  stage = await new ControllerStage().open();
  app = await createApp({ controllerUrl: stage.url, pageFolder: built.folder });
  url = await app.listen({ host: "127.0.0.1", port: 0 });
  visit = await Visit.open(browser, url);
});
afterEach(async () => {
  await visit[Symbol.asyncDispose]();
  await stage.close();
  await app.close();
  expect(visit.complaints).toEqual([]);
});

describe("an answer", () => {
  test("a sample and its suggested question: the words appear as they come", async () => {
    await visit.whenReady();
    await visit.chooseSample("Shapes");
    const asked = stage.next();
    await visit.button("What color is the circle?").click();
    const exchange = await asked;
    await visit.answer("waiting").getByText("Reading the picture…").waitFor();
    exchange.begin().say("The circle");
    await visit.answer("streaming").waitFor();
    expect(await visit.words.textContent()).toBe("The circle");
    exchange.say(" is red.").finish();
    await visit.answer("finished").waitFor();
    expect(await visit.words.textContent()).toBe("The circle is red.");
    const timings = await visit.page.locator(".timings").textContent();
    expect(timings).toBe("first word after 0.31 s · 50 tokens/s · 9 tokens");
    const [message] = exchange.request.messages;
    expect(exchange.request).toMatchObject({
      model: "llava-demo",
      stream: true,
      includeUsage: true,
      temperature: 0.2,
      topP: 0.7,
      maxTokens: 512,
    });
    expect(message?.content).toMatchObject([
      { type: "image_reference" },
      { type: "text", text: "What color is the circle?" },
    ]);
  });

  test("the conversation and its image are sent with the next question", async () => {
    await visit.whenReady();
    await visit.chooseSample("Shapes");
    await visit.button("Describe the image.").click();
    await visit.answer("finished").waitFor();
    const asked = stage.next();
    await visit.send("And the star?");
    const exchange = await asked;
    expect(exchange.request.messages.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
    expect(exchange.request.messages[0]?.content[0]).toMatchObject({ type: "image_reference" });
    expect(stage.blobs.size).toBe(1);
    expect(exchange.request.messages[2]?.content).toEqual([{ type: "text", text: "And the star?" }]);
    exchange.begin().finish();
    await visit.button("New chat").click();
    await visit.button("Shapes").waitFor();
  });

  test("stopping ends it at the controller; what was said stays and the next question can be asked", async () => {
    await visit.whenReady();
    const asked = stage.next();
    await visit.send("Tell me everything.");
    const exchange = await asked;
    exchange.begin().say("Once upon");
    await visit.answer("streaming").waitFor();
    await visit.button("Stop").click();
    await exchange.left;
    await visit.answer("stopped").waitFor();
    expect(await visit.words.textContent()).toBe("Once upon");
    const again = stage.next();
    await visit.send("Shorter.");
    (await again).begin().say("No.").finish();
    await visit.answer("finished").waitFor();
    expect((await again).request.messages[1]?.content).toEqual([{ type: "text", text: "Once upon" }]);
  });

  test("Escape stops; leaving the page does not, and who comes back reads on", async () => {
    await visit.whenReady();
    const first = stage.next();
    await visit.send("One?");
    (await first).begin().say("1");
    await visit.answer("streaming").waitFor();
    await visit.question.press("Escape");
    await (
      await first
    ).left;
    await visit.answer("stopped").waitFor();
    const second = stage.next();
    await visit.send("Two?");
    const exchange = await second;
    exchange.begin().say("2 ");
    await visit.answer("streaming").waitFor();
    await visit.page.goto("about:blank");
    exchange.say("and 3 ");
    await visit.page.goBack();
    await visit.answer("streaming").waitFor();
    await expect.poll(() => visit.words.textContent()).toBe("2 and 3 ");
    exchange.say("and 4").finish();
    await visit.answer("finished").waitFor();
    expect(await visit.words.textContent()).toBe("2 and 3 and 4");
  });

  test("Markdown becomes elements; markup stays words and does nothing", async () => {
    await visit.whenReady();
    const asked = stage.next();
    await visit.send("Write HTML.");
    const markdown =
      "# Hello\n\n* one\n* **two** [three](javascript:alert(1)) [four](https://example.com)\n\n" +
      "<img src=x onerror=alert(1)>\n\n![five](https://example.com/5.png)\n\n```js\nalert(2)\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n";
    (await asked).begin().say(markdown).finish();
    await visit.answer("finished").waitFor();
    expect(await visit.words.locator("h4").textContent()).toBe("Hello");
    expect(await visit.words.locator("li").count()).toBe(2);
    expect(await visit.words.locator("strong").textContent()).toBe("two");
    expect(await visit.words.locator("td").allTextContents()).toEqual(["1", "2"]);
    expect(await visit.words.locator("pre code").textContent()).toBe("alert(2)");
    await visit.words.locator("pre code .code-number").getByText("2").waitFor();
    expect(await visit.words.locator("img, script, iframe").count()).toBe(0);
    expect(await visit.words.getByText("<img src=x onerror=alert(1)>").count()).toBe(1);
    const links = await visit.words.locator("a").evaluateAll((all) => all.map((a) => a.getAttribute("href")));
    expect(links).toEqual(["https://example.com", "https://example.com/5.png"]);
  });

  test("screen readers hear that it is coming, and then all of it once", async () => {
    await visit.whenReady();
    const asked = stage.next();
    await visit.send("Hello?");
    const exchange = await asked;
    const status = visit.page.getByRole("status");
    await status.getByText("The answer is on its way.").waitFor({ state: "attached" });
    exchange.begin().say("Good ");
    await visit.answer("streaming").waitFor();
    expect(await visit.page.getByRole("log").textContent()).toBe("");
    exchange.say("morning.").finish();
    await visit.page.getByRole("log").getByText("Good morning.").waitFor({ state: "attached" });
    expect(await status.textContent()).toBe("The answer is complete.");
    expect(
      await visit.page.locator("[aria-live] .words, [role=status] .words, [role=log] .words").count(),
    ).toBe(0);
  });

  test("screen readers hear an answer by paragraphs, or not at all", async () => {
    await visit.whenReady();
    const log = visit.page.getByRole("log");
    const choose = async (reading: string): Promise<void> => {
      await visit.page.keyboard.press("Control+/");
      await visit.page.getByLabel("Screen readers read answers").selectOption(reading);
      await visit.page.keyboard.press("Escape");
    };
    const ask = async (): Promise<Exchange> => {
      const asked = stage.next();
      await visit.send("Hello?");
      return await asked;
    };
    await choose("paragraph by paragraph");
    const first = await ask();
    first.begin().say("Good morning.\n\nHow are");
    await log.getByText("Good morning.").waitFor({ state: "attached" });
    expect(await log.locator("p").allTextContents()).toEqual(["Good morning."]);
    first.say(" you?").finish();
    await log.getByText("How are you?").waitFor({ state: "attached" });
    expect(await log.locator("p").allTextContents()).toEqual(["Good morning.", "How are you?"]);
    await choose("not by themselves");
    const second = await ask();
    second.begin().say("Good night.").finish();
    await visit.answer("finished").waitFor();
    await visit.page.getByRole("status").getByText("The answer is complete.").waitFor({ state: "attached" });
    expect(await log.textContent()).toBe("");
    await visit.page.reload();
    await visit.whenReady();
    await visit.page.keyboard.press("Control+/");
    expect(await visit.page.getByLabel("Screen readers read answers").inputValue()).toBe("never");
  });
});

describe("when something fails", () => {
  test("a refusal is a sentence on the turn; typed words stay; trying again works", async () => {
    await visit.whenReady();
    const asked = stage.next();
    await visit.send("Hello?");
    await visit.type("My next question");
    (await asked).refuse(new LlavaError("overloaded", "All 4 places are taken. Try again in a moment."));
    await visit.answer("failed").getByText("All 4 places are taken.").waitFor();
    expect(await visit.question.inputValue()).toBe("My next question");
    const again = stage.next();
    await visit.button("Try again").click();
    const exchange = await again;
    expect(exchange.request.messages).toEqual([
      { role: "user", content: [{ type: "text", text: "Hello?" }] },
    ]);
    exchange.begin().say("Hello!").finish();
    await visit.answer("finished").waitFor();
    expect(await visit.page.locator(".turn").count()).toBe(1);
  });

  test("a worker that dies in the middle: a sentence; with the next worker all goes on without a reload", async () => {
    await visit.whenReady();
    await visit.chooseSample("Counting");
    const asked = stage.next();
    await visit.button("How many stars are there?").click();
    const exchange = await asked;
    exchange.begin().say("There are");
    await visit.answer("streaming").waitFor();
    stage.models = [];
    exchange.fail(
      new LlavaError("worker_lost", "The worker stopped in the middle of the answer. Try again."),
    );
    await visit.answer("failed").getByText("The worker stopped in the middle").waitFor();
    expect(await visit.words.textContent()).toBe("There are");
    await visit.page.getByText("No worker serves llava-demo at the moment.").waitFor();
    stage.models = [card("llava-demo")];
    await visit.whenReady();
    const again = stage.next();
    await visit.button("Try again").click();
    (await again).begin().say("There are three stars.").finish();
    await visit.answer("finished").waitFor();
    expect(await visit.words.textContent()).toBe("There are three stars.");
    expect((await again).request.messages[0]?.content[0]).toMatchObject({ type: "image_reference" });
  });

  test("a dead controller: a sentence, and recovery without a reload", async () => {
    await visit.whenReady();
    await stage.close();
    await visit.send("Anybody?");
    await visit.answer("failed").getByText("does not answer").waitFor();
    await visit.page.locator('.model-picker[data-state="lost"]').waitFor();
    await visit.page.locator(".notice").getByText("does not answer").waitFor();
    await stage.open();
    await visit.whenReady();
    await visit.button("Try again").click();
    await visit.answer("finished").waitFor();
    expect(await visit.page.locator(".notice").count()).toBe(0);
  });

  test("a connection that breaks inside an event ends in a sentence too", async () => {
    await visit.whenReady();
    const asked = stage.next();
    await visit.send("Hello?");
    const exchange = await asked;
    exchange.begin().say("He").write('data: {"cho');
    await visit.answer("streaming").waitFor();
    exchange.breakOff();
    await visit.answer("failed").waitFor();
    expect(await visit.page.locator(".failure").textContent()).toContain("broke in the middle");
  });

  test("before any worker has joined, the page says so and keeps the typed text", async () => {
    stage.models = [];
    const fresh = await createApp({ controllerUrl: stage.url, pageFolder: built.folder });
    try {
      await visit.page.goto(await fresh.listen({ host: "127.0.0.1", port: 0 }));
      await visit.page.getByText("No model is being served yet").waitFor();
      await visit.send("Hello?");
      expect(await visit.question.inputValue()).toBe("Hello?");
      await visit.page.reload();
      await expect.poll(() => visit.question.inputValue()).toBe("Hello?");
      stage.models = [card("llava-demo")];
      await visit.whenReady();
      await visit.question.press("Enter");
      await visit.answer("finished").waitFor();
    } finally {
      await visit.page.goto("about:blank");
      await fresh.close();
    }
  });
});
