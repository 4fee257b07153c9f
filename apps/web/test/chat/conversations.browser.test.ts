/** Tests conversations over time: search, branches, votes, export and import. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import type { FastifyInstance } from "fastify";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { createApp } from "../../src/server/web-app.ts";
import { openBrowser } from "../../../../scripts/page/chromium.ts";
import { buildPage } from "../support/built-page.ts";
import type { BuiltPage } from "../support/built-page.ts";
import { ControllerStage } from "../support/controller-stage.ts";
import { Visit } from "../support/visit.ts";

let built: BuiltPage;
let browser: Browser;
let stage: ControllerStage;
let app: FastifyInstance;
let url: string;
let visit: Visit;
/** Console messages that a test expects: the browser reports every answer with an error status. */
let expected: RegExp | null;

beforeAll(async () => {
  [built, browser] = await Promise.all([buildPage(), openBrowser()]);
});
afterAll(async () => {
  await browser.close();
  await built[Symbol.asyncDispose]();
});
beforeEach(async () => {
  expected = null;
  stage = await new ControllerStage().open();
  app = await createApp({ controllerUrl: stage.url, pageFolder: built.folder });
  url = await app.listen({ host: "127.0.0.1", port: 0 });
  visit = await Visit.open(browser, url);
});
afterEach(async () => {
  await visit[Symbol.asyncDispose]();
  await stage.close();
  await app.close();
  const unexpected = visit.complaints.filter((text) => !expected?.test(text));
  expect(unexpected, "complaints of the browser").toEqual([]);
});

describe("the conversation", () => {
  test("is found again after a reload, by its words, and can be deleted and brought back", async () => {
    await visit.whenReady();
    const asked = stage.next();
    await visit.send("What is a heron?");
    (await asked).begin().say("A large bird.").finish();
    await visit.answer("finished").waitFor();
    await visit.button("New chat").click();
    await visit.page.getByRole("heading", { name: "Ask about a picture" }).waitFor();
    await visit.page.reload();
    const row = visit.page.getByRole("link", { name: "What is a heron?" });
    await visit.page.getByRole("searchbox").fill("bird large");
    await row.waitFor();
    await visit.page.getByRole("searchbox").fill("fish");
    await row.waitFor({ state: "detached" });
    await visit.page.getByRole("searchbox").fill("");
    await row.click();
    await expect.poll(() => visit.words.textContent()).toBe("A large bird.");
    await row.hover();
    await visit.button("Delete: What is a heron?").click();
    await row.waitFor({ state: "detached" });
    await visit.button("Undo").click();
    await row.click();
    await expect.poll(() => visit.words.textContent()).toBe("A large bird.");
  });

  test("has versions: answers made again and questions written anew", async () => {
    await visit.whenReady();
    const answer = async (ask: () => Promise<void>, words: string): Promise<void> => {
      const asked = stage.next();
      await ask();
      (await asked).begin().say(words).finish();
      await visit.page.locator(".turn:last-child .words", { hasText: words }).waitFor();
      await visit.answer("finished").waitFor();
    };
    await answer(() => visit.send("A color?"), "Red.");
    await answer(() => visit.button("Answer again").click(), "Blue.");
    await visit.page.getByText("2 of 2").waitFor();
    await visit.button("Version before").click();
    await expect.poll(() => visit.words.textContent()).toBe("Red.");
    await visit.page.locator(".question").hover();
    await visit.button("Edit the question").click();
    const field = visit.page.getByRole("textbox", { name: "Edit the question" });
    await field.fill("A shape?");
    await answer(() => field.press("Enter"), "Round.");
    await expect.poll(() => visit.page.locator(".turn h2").textContent()).toBe("A shape?");
    await visit.button("Version before").click();
    await expect.poll(() => visit.page.locator(".turn h2").textContent()).toBe("A color?");
    await visit.page.reload();
    await visit.page.locator(".turn h2", { hasText: "A color?" }).waitFor();
  });

  test("fills the field from a link and never sends it", async () => {
    await visit.page.goto(`${url}/?q=Who%20are%20you%3F&temperature=0.9`);
    await visit.whenReady();
    expect(await visit.question.inputValue()).toBe("Who are you?");
    expect(await visit.page.locator(".turn").count()).toBe(0);
    const asked = stage.next();
    await visit.question.press("Enter");
    const exchange = await asked;
    expect(exchange.request.temperature).toBe(0.9);
    exchange.begin().finish();
    await visit.answer("finished").waitFor();
  });

  test("is judged with a thumb, which is sent to the server", async () => {
    await visit.whenReady();
    await visit.send("Yes?");
    await visit.answer("finished").waitFor();
    const voted = visit.page.waitForResponse("**/api/votes");
    await visit.button("Good answer").click();
    expect((await voted).status()).toBe(200);
    expect((await voted).request().postDataJSON()).toMatchObject({
      type: "upvote",
      models: ["llava-demo"],
      conversations: [
        [
          { role: "user", text: "Yes?", images: [] },
          { role: "assistant", text: "Yes.", images: [] },
        ],
      ],
    });
    await visit.page.locator('button[aria-pressed="true"]').waitFor();
  });

  test("is the same again after export and import", async () => {
    await visit.whenReady();
    await visit.chooseSample("Shapes");
    const asked = stage.next();
    await visit.button("Describe the image.").click();
    (await asked).begin().say("A **circle**.").finish();
    await visit.answer("finished").waitFor();
    const save = visit.page.waitForEvent("download");
    await visit.button("Export all").click();
    const file = await (await save).path();
    const markdown = visit.page.waitForEvent("download");
    await visit.button("This one as Markdown").click();
    const text = await readFile(await (await markdown).path(), "utf8");
    expect(text).toContain("> Describe the image.");
    expect(text).toContain("A **circle**.");
    await using other = await Visit.open(browser, url);
    await other.whenReady();
    await other.page.locator('.transfer input[type="file"]').setInputFiles(file);
    await other.page.getByRole("link", { name: "Describe the image." }).click();
    await expect.poll(() => other.words.textContent()).toBe("A circle.");
    await expect
      .poll(() =>
        other.page
          .locator(".question img")
          .evaluate((img) => (img as unknown as { naturalWidth: number }).naturalWidth),
      )
      .toBeGreaterThan(0);
    expect(other.complaints).toEqual([]);
  });

  test("is imported from a file that version 1 of the page exported", async () => {
    const file = fileURLToPath(new URL("exported-version-1.json", import.meta.url));
    await visit.whenReady();
    await visit.page.locator('.transfer input[type="file"]').setInputFiles(file);
    await visit.page.getByRole("link", { name: "A heron" }).click();
    await expect.poll(() => visit.words.textContent()).toBe("A heron.");
    await expect
      .poll(() =>
        visit.page
          .locator(".question img")
          .evaluate((img) => (img as unknown as { naturalWidth: number }).naturalWidth),
      )
      .toBe(3);
  });

  test("survives a network that is cut and comes back", async () => {
    expected = /ERR_INTERNET_DISCONNECTED/;
    await visit.whenReady();
    const asked = stage.next();
    await visit.send("A long one?");
    const exchange = await asked;
    exchange.begin().say("One ");
    await visit.answer("streaming").waitFor();
    await visit.page.context().setOffline(true);
    exchange.say("two ");
    await visit.type("Typed without a network");
    await visit.page.context().setOffline(false);
    exchange.say("three").finish();
    await visit.answer("finished").waitFor();
    expect(await visit.words.textContent()).toBe("One two three");
    expect(await visit.question.inputValue()).toBe("Typed without a network");
  });
});
