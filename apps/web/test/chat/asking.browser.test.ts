/** Tests what a question sends beside its text, and how answers that end too early can be continued. */
import { encodeProgress, LlavaError } from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { createApp } from "../../src/server/web-app.ts";
import { openBrowser } from "../../../../scripts/page/chromium.ts";
import { buildPage } from "../support/built-page.ts";
import type { BuiltPage } from "../support/built-page.ts";
import { ControllerStage, card } from "../support/controller-stage.ts";
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
  const capabilities = { image_modes: true, continue_final_message: true };
  const conversation = { conversation: "llava_v1", conversation_templates: ["llava_v1", "plain"] };
  const square = { image_size: 96, image_aspect_ratio: "pad" } as const;
  stage.models = [card("llava-demo", { capabilities, ...conversation, ...square })];
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

test("an answer that reached its longest length is continued in place, also after a reload", async () => {
  const asked = stage.next();
  await visit.send("Tell a story.");
  (await asked).begin().say("Once upon").finish("length");
  await visit.answer("finished").waitFor();
  const further = stage.next();
  await visit.button("Go on with the answer").click();
  const exchange = await further;
  expect(exchange.request).toMatchObject({
    isUnfinished: true,
    messages: [{ role: "user" }, { role: "assistant", content: [{ type: "text", text: "Once upon" }] }],
  });
  exchange.begin().say(" a time");
  await expect.poll(() => visit.words.textContent()).toBe("Once upon a time");
  await visit.page.reload();
  await visit.answer("streaming").waitFor();
  exchange.say(", the end.").finish();
  await visit.answer("finished").waitFor();
  expect(await visit.words.textContent()).toBe("Once upon a time, the end.");
  // It is the same answer and not another version, and there is nothing to continue now.
  expect(await visit.page.locator(".versions").count()).toBe(0);
  expect(await visit.button("Go on with the answer").count()).toBe(0);
  await visit.page.reload();
  await expect.poll(() => visit.words.textContent()).toBe("Once upon a time, the end.");
});

test("one that was stopped, and one that broke off, go on as well", async () => {
  const asked = stage.next();
  await visit.send("Count.");
  (await asked).begin().say("One");
  await visit.answer("streaming").waitFor();
  await visit.button("Stop").click();
  const second = stage.next();
  await visit.button("Go on with the answer").click();
  (await second).begin().say(", two").fail(new LlavaError("worker_lost", "It is gone."));
  await visit.answer("failed").waitFor();
  expect(await visit.words.textContent()).toBe("One, two");
  const third = stage.next();
  await visit.button("Go on with the answer").click();
  (await third).begin().say(", three").finish();
  await visit.answer("finished").waitFor();
  expect(await visit.words.textContent()).toBe("One, two, three");
});

test("the mode of an image and the template are sent", async () => {
  await visit.chooseSample("Shapes");
  await visit.page.getByRole("radio", { name: "Crop" }).check();
  await visit.button("Parameters").click();
  await visit.page.getByLabel("Conversation template").selectOption("plain");
  await visit.page.keyboard.press("Escape");
  const asked = stage.next();
  await visit.send("What is it?");
  const exchange = await asked;
  exchange.begin().say("A circle.").finish();
  expect(exchange.request).toMatchObject({
    conversation: "plain",
    messages: [{ content: [{ type: "image_reference", shape: "crop" }, { text: "What is it?" }] }],
  });
  await visit.answer("finished").waitFor();
});

test("an address may name an image, its mode and a question, and sends nothing by itself", async () => {
  await visit.page.goto(`${url}/?image=shapes&mode=resize&q=What+is+red%3F`);
  await visit.attached.waitFor();
  await expect.poll(() => visit.question.inputValue()).toBe("What is red?");
  await expect.poll(() => visit.page.getByRole("radio", { name: "Squash" }).isChecked()).toBe(true);
  expect(await visit.page.locator(".turn").count()).toBe(0);
});

test("progress: the place in the queue and the processed prompt are shown", async () => {
  const asked = stage.next();
  await visit.send("Hello?");
  const exchange = (await asked).begin();
  exchange.write(encodeProgress({ kind: "queued", position: 3, length: 7 }));
  await visit.answer("waiting").getByText("Waiting: 3 of 7").waitFor();
  exchange.write(encodeProgress({ kind: "reading", done: 128, total: 512 }));
  await visit.answer("waiting").getByText("Reading, 25 %").waitFor();
  exchange.say("Hello.").finish();
  await visit.answer("finished").waitFor();
});

test("an overloaded server is asked again automatically, unless the user declines", async () => {
  const full = new LlavaError("overloaded", "All places are taken.");
  const first = stage.next();
  await visit.send("Hello?");
  const second = stage.next();
  (await first).refuse(full, { "retry-after-ms": "2000" });
  await visit.answer("failed").getByText("Asks again by itself in").waitFor();
  (await second).begin().say("Hello.").finish();
  await visit.answer("finished").waitFor();
  const third = stage.next();
  await visit.send("Again?");
  (await third).refuse(full, { "retry-after-ms": "60000" });
  await visit.button("Don't").click();
  await visit.answer("failed").waitFor();
  expect(await visit.page.getByText("Asks again by itself").count()).toBe(0);
  await visit.button("Try again").click();
  await visit.answer("finished").waitFor();
});
