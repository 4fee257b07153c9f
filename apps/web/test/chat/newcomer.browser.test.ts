/** Tests a user's first minutes with the page, before a real controller, a real worker and the demo model. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { openProfile } from "../../../../scripts/page/chromium.ts";
import { buildPage } from "../support/built-page.ts";
import type { BuiltPage } from "../support/built-page.ts";
import { Visit } from "../support/visit.ts";
import { WholeService } from "../support/whole-service.ts";

const ALL_SHAPES =
  "There is a large yellow star at the top right, a large red circle at the middle left and a small green square at the bottom right.";
/** About five words of an answer, which is some eight chunks and the head of the response. */
const SOME_WORDS_BYTES = 3_000;

let built: BuiltPage;
let service: WholeService;
let profile: string;
let visit: Visit;

beforeAll(async () => {
  built = await buildPage();
  service = await WholeService.start(built.folder);
  profile = await mkdtemp(join(tmpdir(), "llava-profile-"));
});
afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
  await built?.[Symbol.asyncDispose]();
  await rm(profile, { recursive: true, force: true });
});
beforeEach(async () => {
  visit = await Visit.in(await openProfile(profile), service.url);
  await visit.whenReady();
});
afterEach(async () => {
  await visit[Symbol.asyncDispose]();
  expect(visit.complaints).toEqual([]);
});

/** The answer to the last question, when it is complete. */
async function wholeAnswer(question: string): Promise<string> {
  await visit.page.locator(".turn:last-child h2", { hasText: question }).waitFor();
  await visit.answer("finished").waitFor();
  return (await visit.words.textContent()) ?? "";
}

/** The first words of the answer, which the proxy holds after them. */
async function firstWords(ask: () => Promise<void>): Promise<string> {
  service.proxy.holdAfter(SOME_WORDS_BYTES);
  await ask();
  await visit.answer("streaming").waitFor();
  await expect.poll(() => service.proxy.isHolding).toBe(true);
  return (await visit.words.textContent()) ?? "";
}

/** The page may show another word since the text was read. */
async function expectBegun(begun: string): Promise<void> {
  await expect.poll(async () => ((await visit.words.textContent()) ?? "").startsWith(begun)).toBe(true);
  const shown = (await visit.words.textContent()) ?? "";
  expect(ALL_SHAPES.startsWith(shown) && shown.length < ALL_SHAPES.length, shown).toBe(true);
}

test("a sample, a question, a true answer word by word; a further question; one that is stopped", async () => {
  await visit.chooseSample("Shapes");
  const begun = await firstWords(() => visit.button("Describe the image.").click());
  await expectBegun(begun);
  service.proxy.release();
  expect(await wholeAnswer("Describe the image.")).toBe(ALL_SHAPES);
  await visit.send("What color is the circle?");
  expect(await wholeAnswer("What color is the circle?")).toBe("The circle is red.");
  const stopped = await firstWords(() => visit.send("Describe the image."));
  await visit.button("Stop").click();
  await visit.answer("stopped").waitFor();
  service.proxy.release();
  await expectBegun(stopped);
  await visit.send("Is there a yellow star?");
  expect(await wholeAnswer("Is there a yellow star?")).toBe("Yes, there is a yellow star.");
});

test("after the browser was closed and opened, the conversation is found; a reload in mid-answer loses no word", async () => {
  await visit.page.getByRole("link", { name: "Describe the image." }).click();
  await expect.poll(() => visit.page.locator(".turn .words").allTextContents()).toHaveLength(4);
  expect(await visit.words.textContent()).toBe("Yes, there is a yellow star.");
  await visit.page.locator('.question img[src^="blob:"]').waitFor();
  const begun = await firstWords(() => visit.send("Describe the image."));
  await visit.page.reload();
  await visit.answer("streaming").waitFor();
  await expectBegun(begun);
  service.proxy.release();
  expect(await wholeAnswer("Describe the image.")).toBe(ALL_SHAPES);
});

test("a second image goes with the next question, and everything is still there after a restart", async () => {
  await visit.page.getByRole("searchbox").fill("yellow star");
  await visit.page.getByRole("link", { name: "Describe the image." }).click();
  await expect.poll(() => visit.page.locator(".turn").count()).toBe(5);
  const input = visit.page.locator("input[type=file][multiple]");
  await input.setInputFiles(join(built.folder, "samples/reading.png"));
  await visit.attached.waitFor();
  await visit.send("What character is shown?");
  expect(await wholeAnswer("What character is shown?")).toBe("It is the letter K.");
  await expect.poll(() => visit.page.locator('.question img[src^="blob:"]').count()).toBe(2);
  const texts = await visit.page.locator(".turn .words").allTextContents();
  await visit[Symbol.asyncDispose]();
  visit = await Visit.in(await openProfile(profile), service.url);
  await visit.page.getByRole("link", { name: "Describe the image." }).click();
  await expect.poll(() => visit.page.locator(".turn .words").allTextContents()).toEqual(texts);
  await expect.poll(() => visit.page.locator('.question img[src^="blob:"]').count()).toBe(2);
});
