import { Buffer } from "node:buffer";

import { decodeImage } from "@llava/processing";
import { CLIP_MEAN, modelView } from "@llava/processing/view";
import type { SquareShape } from "@llava/processing/view";
import type { FastifyInstance } from "fastify";
import type { Browser } from "playwright-core";
import sharp from "sharp";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { openBrowser } from "../../../../scripts/page/chromium.ts";
import { createApp } from "../../src/server/web-app.ts";
import { buildPage } from "../support/built-page.ts";
import type { BuiltPage } from "../support/built-page.ts";
import { ControllerStage, card } from "../support/controller-stage.ts";
import { Visit } from "../support/visit.ts";

const SIZE = 96;
const DEMO = {
  ...card("llava-demo"),
  image_size: SIZE,
  image_aspect_ratio: "pad",
  capabilities: { image_modes: true },
} as const;

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
  stage.models = [DEMO];
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

/** Every pixel has another colour, so that no pixel can be mistaken for its neighbour. */
async function noisyPng(width: number, height: number): Promise<Buffer> {
  const rgb = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 2_654_435_761) >>> 24);
  return await sharp(rgb, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

async function choose(name: string, mimeType: string, buffer: Buffer): Promise<void> {
  const input = visit.page.locator("input[type=file][multiple]");
  await input.setInputFiles({ name, mimeType, buffer });
}

/** The pixels of the preview, [size, size, 3] in base64; empty while nothing is painted. */
async function previewed(): Promise<string> {
  return await visit.page.evaluate(`(() => {
    const shown = document.querySelector(".attached .model-view");
    if (!shown) return "";
    const canvas = new OffscreenCanvas(shown.width, shown.height);
    const context = canvas.getContext("2d");
    context.drawImage(shown, 0, 0);
    const { data } = context.getImageData(0, 0, shown.width, shown.height);
    if (data[3] === 0) return "";
    const rgb = Array.from(data).filter((_, i) => i % 4 !== 3);
    return btoa(rgb.map((byte) => String.fromCharCode(byte)).join(""));
  })()`);
}

test("the preview is what the worker sees, pixel for pixel, in every mode", async () => {
  for (const [width, height] of [
    [130, 70],
    [61, 203],
  ] as const) {
    const png = await noisyPng(width, height);
    const picture = await decodeImage(png);
    const expected = async (shape: SquareShape): Promise<string> => {
      const turns = { isDue: false, rest: async () => undefined };
      const views = await modelView(picture, { size: SIZE, shape, mean: CLIP_MEAN }, turns);
      return Buffer.concat(views).toString("base64");
    };
    await choose("noise.png", "image/png", png);
    await visit.attached.waitFor();
    const modes = [
      ["As trained", "pad"],
      ["Crop", "crop"],
      ["Squash", "resize"],
      ["Pad", "pad"],
    ] as const;
    for (const [label, shape] of modes) {
      await visit.page.getByRole("radio", { name: label }).check();
      await expect.poll(previewed).toBe(await expected(shape));
      expect(await visit.page.locator(".attached .seen-part").count()).toBe(shape === "crop" ? 1 : 0);
    }
    await visit.button("Remove noise.png").click();
    await visit.attached.waitFor({ state: "detached" });
  }
});

test("the preview states the tokens of an image; a model whose card has no image size gets none", async () => {
  await choose("noise.png", "image/png", await noisyPng(40, 30));
  await visit.page.getByText("The model sees 96 × 96 · 64 tokens each").waitFor();
  stage.models = [card("llava-v1.5-7b")];
  await visit.page.locator(".attached .model-view").waitFor({ state: "detached" });
  expect(await visit.page.getByRole("radio").count()).toBe(0);
});

test("a transparent image is sent on white as servers see it, without metadata", async () => {
  const half = await sharp({
    create: { width: 32, height: 32, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
  })
    .withExif({ IFD0: { Make: "A camera" } })
    .png()
    .toBuffer();
  await choose("clear.png", "image/png", half);
  await visit.attached.waitFor();
  const asked = stage.next();
  await visit.send("What is this?");
  (await asked).begin().say("White.").finish();
  const [sent] = [...stage.blobs.values()];
  if (!sent) throw new Error("No picture was uploaded.");
  const { data } = await sharp(sent).raw().toBuffer({ resolveWithObject: true });
  expect(new Set(data)).toEqual(new Set([255]));
  expect(sent.includes("A camera")).toBe(false);
});

test("the longest side is the chosen one, and the original size is shown", async () => {
  await choose("small.png", "image/png", await noisyPng(40, 30));
  await visit.attached.waitFor();
  await visit.page.getByRole("combobox", { name: "New pictures are sent" }).selectOption("672");
  await visit.button("Remove small.png").click();
  await choose("wide.png", "image/png", await noisyPng(1000, 500));
  await visit.page.getByText("672 × 336 pixels").waitFor();
  await visit.page.getByText("shrunk from 1000 × 500").waitFor();
});

test("a drawing made by the page is picked, shown large as the model sees it, and asked about", async () => {
  await visit.page.locator(".drawing canvas").first().waitFor();
  const before = await visit.page.locator(".drawing").first().getAttribute("aria-label");
  await visit.button("Draw others").click();
  await expect
    .poll(async () => await visit.page.locator(".drawing").first().getAttribute("aria-label"))
    .not.toBe(before);
  await visit.page.locator(".drawing").first().click();
  await visit.attached.waitFor();
  expect(await visit.page.locator(".photo-notice").count()).toBe(0);
  const question = await visit.page.locator(".suggestions button").last().innerText();
  const asked = stage.next();
  await visit.page.locator(".suggestions button").last().click();
  const exchange = await asked;
  exchange.begin().say("Something.").finish();
  await visit.page.getByText(/^True of this drawing: .+\.$/).waitFor();
  expect(exchange.request.messages[0]?.content).toContainEqual({ type: "text", text: question });
  await visit.button(/^Show Drawing/).click();
  const dialog = visit.page.getByRole("dialog", { name: "Picture" });
  await dialog.getByRole("button", { name: "What the model sees" }).click();
  await dialog.getByRole("img", { name: /^What the model sees of/ }).waitFor();
  await visit.page.keyboard.press("+");
  expect(await dialog.locator(".lightbox-image").evaluate((part) => part.getAttribute("style"))).toContain(
    "125%",
  );
  await visit.page.keyboard.press("0");
  await visit.page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
});

test("scene editor: a scene is drawn by keys alone, and unseen pairs are mentioned", async () => {
  await visit.button("Draw your own").press("Enter");
  const dialog = visit.page.getByRole("dialog", { name: "Draw a scene" });
  await dialog.getByRole("button", { name: "Add a letter" }).press("Enter");
  await dialog.getByRole("combobox", { name: "Letter or digit" }).selectOption("K");
  await dialog.getByRole("combobox", { name: "Colour" }).selectOption("blue");
  await dialog.getByRole("application").focus();
  for (let i = 0; i < 20; i++) await visit.page.keyboard.press("ArrowRight");
  await dialog.getByRole("button", { name: /red circle/ }).press("Enter");
  await dialog.getByRole("combobox", { name: "Colour" }).selectOption("purple");
  await dialog.getByText("A purple circle: the model has never seen one.").waitFor();
  await dialog.getByRole("button", { name: "Ask about it" }).press("Enter");
  await visit.attached.waitFor();
  expect(await visit.attached.getAttribute("alt")).toBe(
    "There is the letter K in blue at the top right and a large purple circle in the center.",
  );
});

test("the user's own image gets a notice and a link to a model for photographs", async () => {
  stage.models = [DEMO, { ...card("llava-v1.5-7b"), card: "# LLaVA\n\nIt was trained on photographs." }];
  await choose("noise.png", "image/png", await noisyPng(40, 30));
  const notice = visit.page.locator(".photo-notice");
  await notice.getByText("never saw a photograph").waitFor();
  await notice.getByRole("button", { name: "Ask llava-v1.5-7b instead" }).click();
  await notice.waitFor({ state: "detached" });
});
