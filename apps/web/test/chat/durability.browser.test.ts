/**
 * Tests that nothing is lost: with full storage, after a crashed tab, and from one version of the database to the
 * next.
 */
import { readFile } from "node:fs/promises";

import type { FastifyInstance } from "fastify";
import type { Browser, Locator } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { createApp } from "../../src/server/web-app.ts";
import { openBrowser } from "../../../../scripts/page/chromium.ts";
import { buildPage } from "../support/built-page.ts";
import type { BuiltPage } from "../support/built-page.ts";
import { ControllerStage } from "../support/controller-stage.ts";
import { readStored, wipe, writeVersion1 } from "../support/stored.ts";
import { Visit } from "../support/visit.ts";

const FULL = "its storage is full or forbidden";

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
  await visit.whenReady();
});
afterEach(async () => {
  await visit[Symbol.asyncDispose]();
  await stage.close();
  await app.close();
  expect(visit.complaints).toEqual([]);
});

async function answered(question: string, words: string): Promise<void> {
  const asked = stage.next();
  await visit.send(question);
  (await asked).begin().say(words).finish();
  await visit.answer("finished").waitFor();
}

async function allWords(): Promise<readonly string[]> {
  return await visit.page.locator(".turn .words").allTextContents();
}

/**
 * Must be called before the page has written anything, because the browser grants space that it has already reserved.
 * @param bytes quota of this page; null restores the default
 */
async function setQuota(bytes: number | null): Promise<void> {
  const session = await visit.page.context().newCDPSession(visit.page);
  await session.send("Storage.overrideQuotaForOrigin", {
    origin: url,
    ...(bytes === null ? {} : { quotaSize: bytes }),
  });
}

describe("full storage", () => {
  test("the page works in memory, says so, and stores everything when there is room", async () => {
    await setQuota(1);
    await answered("The first?", "In memory.");
    await visit.page.locator(".notice", { hasText: FULL }).waitFor();
    await visit.button("New chat").click();
    await visit.chooseSample("Shapes");
    await answered("What is round?", "The **circle** is.");
    await answered("And what is not?", "The star.");
    await visit.type("Typed and not sent");
    await visit.page.getByRole("link", { name: "The first?" }).click();
    await expect.poll(() => visit.words.textContent()).toBe("In memory.");
    await visit.page.getByRole("searchbox").fill("star");
    await visit.page.getByRole("link", { name: "What is round?" }).click();
    await visit.page.getByRole("searchbox").fill("");
    await expect.poll(allWords).toEqual(["The circle is.", "The star."]);
    await visit.page.locator('.question img[src^="blob:"]').waitFor();
    expect(await visit.question.inputValue()).toBe("Typed and not sent");
    expect((await readStored(visit.page)).messages).toEqual([]);
    await setQuota(null);
    await visit.page.getByRole("link", { name: "The first?" }).hover();
    await visit.button("Delete: The first?").click();
    // Waits until the deletion can no longer be undone.
    await visit.page.locator(".notice").waitFor({ state: "detached" });
    await visit.page.reload();
    await expect.poll(allWords).toEqual(["The circle is.", "The star."]);
    await visit.page.locator('.question img[src^="blob:"]').waitFor();
  });

  test("an answer of the longest allowed length is complete", async () => {
    await setQuota(150_000);
    await answered("A short one?", "Yes.");
    const asked = stage.next();
    await visit.send("A long one?");
    const exchange = await asked;
    exchange.begin().say("It began.\n\n");
    await visit.answer("streaming").waitFor();
    await expect.poll(async () => (await readStored(visit.page)).messages.at(-1)?.text).toBe("It began.\n\n");
    exchange.say(`\`\`\`\n${"Much more than there is room for.\n".repeat(6_000)}\`\`\`\n\n`);
    await visit.page.locator(".notice", { hasText: FULL }).waitFor();
    exchange.say("And it ended.").finish();
    await visit.answer("finished").waitFor();
    await visit.button("New chat").click();
    await visit.page.getByRole("link", { name: "A short one?" }).click();
    await expect.poll(() => visit.words.textContent()).toMatch(/^It began\.[^]{190000,}And it ended\.$/);
  });
});

test("a tab that crashes in the middle of an answer: the stored text is shown, and then all of it", async () => {
  const asked = stage.next();
  await visit.send("Tell me a story.");
  const exchange = await asked;
  exchange.begin().say("Once upon a time ");
  // The answer is written within a second while it is generated.
  await expect
    .poll(async () => (await readStored(visit.page)).messages.at(-1)?.text)
    .toBe("Once upon a time ");
  exchange.say("there was ");
  await visit.words.getByText("there was").waitFor();
  const { page } = visit;
  const context = page.context();
  const crashed = page.waitForEvent("crash");
  const session = await context.newCDPSession(page);
  // The page has crashed, so the command gets no answer.
  void session.send("Page.crash").catch(() => undefined);
  await crashed;
  const address = page.url();
  await page.close();
  // Without its server, the page shows what it has stored.
  await context.route("**/api/events*", (route) => route.abort());
  const next = await Visit.in(context, address);
  await expect.poll(() => next.words.textContent()).toMatch(/^Once upon a time /);
  await context.unroute("**/api/events*");
  exchange.say("a heron.");
  await next.page.reload();
  await expect.poll(() => next.words.textContent()).toBe("Once upon a time there was a heron.");
  exchange.finish();
  await next.answer("finished").waitFor();
  await expect
    .poll(async () => (await readStored(next.page)).messages.at(-1)?.text)
    .toBe("Once upon a time there was a heron.");
});

test("exported, deleted and imported, the database is the same again", async () => {
  await visit.chooseSample("Shapes");
  await answered("What is round?", "The **circle** is.");
  await answered("What else?", "Nothing.");
  const again = stage.next();
  await visit.button("Answer again").last().click();
  (await again).begin().say("A wheel.").finish();
  await visit.page.getByText("2 of 2").waitFor();
  await visit.answer("finished").waitFor();
  await visit.button("Good answer").last().click();
  await visit.page.locator('button[aria-pressed="true"]').waitFor();
  await visit.button("New chat").click();
  await answered("Something else?", "No.");
  await expect.poll(async () => (await readStored(visit.page)).messages.at(-1)?.text).toBe("No.");
  const before = await readStored(visit.page);
  expect(before.conversations).toHaveLength(2);
  expect(before.messages).toHaveLength(7);
  expect(before.images).toHaveLength(1);
  const save = visit.page.waitForEvent("download");
  await visit.button("Export all").click();
  const file = await (await save).path();
  await wipe(visit.page);
  await visit.page.goto(url);
  await visit.whenReady();
  expect((await readStored(visit.page)).messages).toEqual([]);
  await visit.page.locator('.transfer input[type="file"]').setInputFiles(file);
  await visit.page.getByRole("link", { name: "What is round?" }).click();
  await expect.poll(() => visit.words.textContent()).toBe("A wheel.");
  expect(await readStored(visit.page)).toEqual(before);
});

test("the database and a draft of version 1, in which images were named pictures, are converted", async () => {
  await using later = await Visit.open(browser, `${url}/samples/samples.json`);
  const exported = await readFile(new URL("exported-version-1.json", import.meta.url), "utf8");
  await writeVersion1(later.page, exported);
  await later.page.goto(url);
  await later.whenReady();
  expect(await later.question.inputValue()).toBe("Typed before");
  await expectLoaded(later.attached);
  await later.page.getByRole("link", { name: "A heron" }).click();
  await expect.poll(() => later.words.textContent()).toBe("A heron.");
  await expectLoaded(later.page.locator(".question img"));
  await later.page.goto(`${url}/compare`);
  await later.page.getByRole("article", { name: "A round?" }).waitFor();
  await expectLoaded(later.page.locator(".round .question img"));
  expect((await readStored(later.page)).images).toHaveLength(1);
  // The browser requests an icon for the JSON file at some time, and the server has none.
  expect(later.complaints.filter((text) => !text.includes("404 (Not Found)"))).toEqual([]);
});

async function expectLoaded(image: Locator): Promise<void> {
  await expect
    .poll(() => image.evaluate((img) => (img as unknown as { naturalWidth: number }).naturalWidth))
    .toBe(3);
}
