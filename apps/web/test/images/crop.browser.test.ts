import type { FastifyInstance } from "fastify";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { createApp } from "../../src/server/web-app.ts";
import { openBrowser } from "../../../../scripts/page/chromium.ts";
import { buildPage } from "../support/built-page.ts";
import type { BuiltPage } from "../support/built-page.ts";
import { ControllerStage } from "../support/controller-stage.ts";
import { coloursOf, quarters } from "../support/quarters.ts";
import { jpegSize, sentImage } from "../support/sent-image.ts";
import { Visit } from "../support/visit.ts";

let built: BuiltPage;
let browser: Browser;
let stage: ControllerStage;
let app: FastifyInstance;
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
  visit = await Visit.open(browser, await app.listen({ host: "127.0.0.1", port: 0 }));
  await visit.whenReady();
});
afterEach(async () => {
  await visit[Symbol.asyncDispose]();
  await stage.close();
  await app.close();
  expect(visit.complaints).toEqual([]);
});

test("crop: a part is cropped by mouse and by keys, and undone", async () => {
  const buffer = await quarters(320, 160).png().toBuffer();
  await visit.page
    .locator("input[type=file][multiple]")
    .setInputFiles({ name: "quarters.png", mimeType: "image/png", buffer });
  const open = visit.page.getByRole("button", { name: "Cut out a part" });
  await open.click();
  const dialog = visit.page.getByRole("dialog", { name: "Cut out a part" });
  const use = dialog.getByRole("button", { name: "Use this part" });
  await dialog.getByText("320 × 160 pixels").waitFor();
  expect(await use.isDisabled()).toBe(true);
  const stageBox = (await dialog.getByRole("application").boundingBox())!;
  const at = (x: number, y: number): [number, number] => [
    stageBox.x + (x / 320) * stageBox.width,
    stageBox.y + (y / 160) * stageBox.height,
  ];
  const { mouse } = visit.page;
  // The corner at the top left is dragged to the middle, and a click moves the one below it.
  await mouse.move(...at(8, 8));
  await mouse.down();
  await mouse.move(...at(160, 80), { steps: 5 });
  await mouse.up();
  await dialog.getByText("160 × 80 pixels").waitFor();
  await mouse.click(...at(80, 152));
  await dialog.getByText("240 × 72 pixels").waitFor();
  await dialog.getByRole("button", { name: "The whole picture" }).click();
  await dialog.getByText("320 × 160 pixels").waitFor();
  await dialog.getByRole("application").focus();
  for (let i = 0; i < 16; i++) await visit.page.keyboard.press("Shift+ArrowLeft");
  for (let i = 0; i < 8; i++) await visit.page.keyboard.press("Shift+ArrowUp");
  await dialog.getByText("160 × 80 pixels").waitFor();
  for (let i = 0; i < 16; i++) await visit.page.keyboard.press("ArrowRight");
  await use.click();
  await dialog.waitFor({ state: "detached" });
  await visit.page.locator(".attached-notes").getByText("160 × 80 pixels").waitFor();
  await expect
    .poll(() => visit.page.evaluate("document.activeElement?.ariaLabel"))
    .toBe("Show quarters.png large");
  await visit.page.getByRole("button", { name: "Undo" }).click();
  await visit.page.locator(".attached-notes").getByText("320 × 160 pixels").waitFor();
  await open.click();
  await dialog.getByText("320 × 160 pixels").waitFor();
  await visit.page.keyboard.press("Shift+ArrowLeft");
  await visit.page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  expect((await sentImage(visit, stage)).bytes.equals(buffer)).toBe(true);
});

test("crop: the cropped part is sent", async () => {
  const buffer = await quarters(2800, 2000).jpeg().toBuffer();
  await visit.page
    .locator("input[type=file][multiple]")
    .setInputFiles({ name: "quarters.jpg", mimeType: "image/jpeg", buffer });
  await visit.page.getByRole("button", { name: "Cut out a part" }).click();
  const dialog = visit.page.getByRole("dialog", { name: "Cut out a part" });
  await dialog.getByText("1344 × 960 pixels").waitFor();
  await dialog.getByRole("application").focus();
  // A step is a thirty-second of the longer side, 42 pixels.
  for (let i = 0; i < 17; i++) await visit.page.keyboard.press("Shift+ArrowLeft");
  for (let i = 0; i < 12; i++) await visit.page.keyboard.press("Shift+ArrowUp");
  for (let i = 0; i < 17; i++) await visit.page.keyboard.press("ArrowRight");
  await dialog.getByText("630 × 456 pixels").waitFor();
  await dialog.getByRole("button", { name: "Use this part" }).click();
  await visit.page.locator(".attached-notes").getByText("630 × 456 pixels").waitFor();
  const sent = await sentImage(visit, stage);
  expect(jpegSize(sent.bytes)).toEqual({ width: 630, height: 456 });
  expect(await coloursOf(sent.bytes)).toEqual(Array.from({ length: 4 }, () => [0, 1, 0]));
});
