import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";

import type { FastifyInstance } from "fastify";
import type { Browser } from "playwright-core";
import sharp from "sharp";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { createApp } from "../../src/server/web-app.ts";
import { openBrowser } from "../../../../scripts/page/chromium.ts";
import { buildPage } from "../support/built-page.ts";
import type { BuiltPage } from "../support/built-page.ts";
import { ControllerStage, card } from "../support/controller-stage.ts";
import { coloursOf, quarters } from "../support/quarters.ts";
import { jpegSize, sentImage } from "../support/sent-image.ts";
import { Visit } from "../support/visit.ts";

const SAMPLE = new URL("../../src/browser/public/samples/counting.png", import.meta.url);

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

/** Fires a paste or a drop with a file, as the browser does for a real one. */
async function give(kind: "paste" | "drop", bytes: Buffer, name: string, type: string): Promise<void> {
  await visit.page.evaluate(`{
    const bytes = Uint8Array.from(atob("${bytes.toString("base64")}"), (c) => c.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], "${name}", { type: "${type}" }));
    const event = "${kind}" === "paste"
      ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
      : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
    document.querySelector("main").dispatchEvent(event);
  }`);
}

/** A JPEG of one colour above another, with an EXIF orientation that turns it by a quarter. */
async function sidewaysJpeg(width: number, height: number): Promise<Buffer> {
  const base64: string = await visit.page.evaluate(`(async () => {
    const canvas = new OffscreenCanvas(${width}, ${height});
    const context = canvas.getContext("2d");
    context.fillStyle = "red";
    context.fillRect(0, 0, ${width}, ${height});
    const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/jpeg" })).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  })()`);
  const jpeg = Buffer.from(base64, "base64");
  // APP1: "Exif", big-endian TIFF, one entry: orientation (0x0112), short, 1 value, 6 = rotate right by a quarter.
  const exif = Buffer.from("ffe100224578696600004d4d002a00000008000101120003000000010006000000000000", "hex");
  return Buffer.concat([jpeg.subarray(0, 2), exif, jpeg.subarray(2)]);
}

test("a small PNG that is pasted anywhere goes as it is, byte for byte", async () => {
  const bytes = await readFile(SAMPLE);
  await give("paste", bytes, "stars.png", "image/png");
  await visit.attached.waitFor();
  expect(await visit.page.getByText("stars.png").count()).toBe(1);
  const sent = await sentImage(visit, stage);
  expect(sent.mediaType).toBe("image/png");
  expect(sent.bytes.equals(bytes)).toBe(true);
  expect(await visit.page.locator(".question img").count()).toBe(1);
});

test("a large photograph that is dropped is rotated upright, shrunk and stripped of its metadata", async () => {
  await give("drop", await sidewaysJpeg(2688, 1000), "IMG_1.JPG", "image/jpeg");
  await visit.attached.waitFor();
  expect(await visit.page.getByText("500 × 1344 pixels").count()).toBe(1);
  await visit.page.locator(".photo-notice").getByText("never saw a photograph").waitFor();
  const sent = await sentImage(visit, stage);
  expect(sent.mediaType).toBe("image/jpeg");
  expect(jpegSize(sent.bytes)).toEqual({ width: 500, height: 1344 });
  expect(sent.bytes.includes("Exif")).toBe(false);
});

test("a rotated photograph of 12 megapixels is decoded upright in the worker", async () => {
  // As stored, red is left and blue is right; upright, red is above and blue below.
  const [width, height] = [4000, 3000];
  const blue = { create: { width: width / 2, height, channels: 3, background: "blue" } } as const;
  const lying = await sharp({ create: { width, height, channels: 3, background: "red" } })
    .composite([{ input: blue, left: width / 2, top: 0 }])
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toBuffer();
  const isBeside = visit.page.waitForEvent("worker");
  await visit.page
    .locator("input[type=file][multiple]")
    .setInputFiles({ name: "IMG_12.JPG", mimeType: "image/jpeg", buffer: lying });
  await isBeside;
  await visit.page.getByText("1008 × 1344 pixels").waitFor();
  const sent = await sentImage(visit, stage);
  expect(jpegSize(sent.bytes)).toEqual({ width: 1008, height: 1344 });
  const { data, info } = await sharp(sent.bytes).raw().toBuffer({ resolveWithObject: true });
  const colourAt = (row: number): string => {
    const at = (row * info.width + 500) * info.channels;
    return data[at]! > data[at + 2]! ? "red" : "blue";
  };
  expect([100, 600, 750, 1300].map(colourAt)).toEqual(["red", "red", "blue", "blue"]);
});

test("photographs are upright for all eight EXIF orientations", async () => {
  const files = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      quarters(2800, 2000)
        .withMetadata({ orientation: i + 1 })
        .jpeg()
        .toBuffer(),
    ),
  );
  await visit.page
    .locator("input[type=file][multiple]")
    .setInputFiles(files.map((buffer, i) => ({ name: `${i}.jpg`, mimeType: "image/jpeg", buffer })));
  await expect.poll(() => visit.attached.count()).toBe(8);
  const asked = stage.next();
  await visit.type("Which way up?");
  await visit.question.press("Enter");
  const exchange = await asked;
  exchange.begin().say("All.").finish();
  const keys = exchange.request.messages[0]?.content.flatMap((part) =>
    part.type === "image_reference" ? [part.key] : [],
  );
  for (const [i, file] of files.entries())
    expect(await coloursOf(stage.blobs.get(keys?.[i] ?? "")!), `orientation ${i + 1}`).toEqual(
      await coloursOf(file),
    );
  await visit.answer("finished").waitFor();
});

test("of twenty images the first eight are taken, and the page says that the rest is left out", async () => {
  await visit.type("What differs?");
  const pictures = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => ({
      name: `${index}.png`,
      mimeType: "image/png",
      buffer: await sharp({
        create: { width: 24, height: 24, channels: 3, background: { r: 12 * index, g: 0, b: 0 } },
      })
        .png()
        .toBuffer(),
    })),
  );
  await visit.page.locator("input[type=file][multiple]").setInputFiles(pictures);
  await visit.page.getByText("A question can have 8 pictures at most: 12 were left out.").waitFor();
  await expect.poll(() => visit.attached.count()).toBe(8);
  expect(await visit.question.inputValue()).toBe("What differs?");
  const asked = stage.next();
  await visit.question.press("Enter");
  const exchange = await asked;
  exchange.begin().say("All.").finish();
  const keys = exchange.request.messages[0]?.content.flatMap((part) =>
    part.type === "image_reference" ? [part.key] : [],
  );
  expect(keys?.map((key) => stage.blobs.get(key))).toEqual(pictures.slice(0, 8).map(({ buffer }) => buffer));
  await visit.answer("finished").waitFor();
});

test("camera: an image is taken, and the camera is switched off with the viewfinder", async () => {
  await visit.button("Take a picture").click();
  const finder = visit.page.getByRole("dialog", { name: "Take a picture" });
  await expect
    .poll(() => visit.page.evaluate<boolean>('document.querySelector("video")?.videoWidth > 0'))
    .toBe(true);
  await visit.page.evaluate("window.tracks = document.querySelector('video').srcObject.getTracks()");
  await finder.getByRole("button", { name: "Take the picture" }).click();
  await visit.attached.waitFor();
  await expect
    .poll(() => visit.page.evaluate<string[]>("window.tracks.map(({ readyState }) => readyState)"))
    .toEqual(["ended"]);
  const { mediaType, bytes } = await sentImage(visit, stage);
  expect(mediaType).toBe("image/jpeg");
  const { width, height } = await sharp(bytes).metadata();
  expect(width * height).toBeGreaterThan(100_000);
});

test("an image can be chosen as a file, removed, and chosen again", async () => {
  const input = visit.page.locator("input[type=file][multiple]");
  const file = { name: "stars.png", mimeType: "image/png", buffer: await readFile(SAMPLE) };
  await input.setInputFiles(file);
  await visit.attached.waitFor();
  await visit.button("Remove stars.png").click();
  await visit.attached.waitFor({ state: "detached" });
  await input.setInputFiles(file);
  await visit.attached.waitFor();
});

test("a file that is no image is refused in a sentence, and typed text stays", async () => {
  await visit.type("What is this?");
  await give("drop", Buffer.from("words"), "notes.txt", "text/plain");
  await visit.page.getByText('"notes.txt" is not a picture.').waitFor();
  await give("paste", Buffer.from("not really"), "broken.png", "image/png");
  await visit.page.getByText('This browser cannot read "broken.png" as a picture.').waitFor();
  expect(await visit.question.inputValue()).toBe("What is this?");
  expect(await visit.attached.count()).toBe(0);
});

test("several images keep their order", async () => {
  const other = new URL("../../src/browser/public/samples/reading.png", import.meta.url);
  await give("paste", await readFile(SAMPLE), "stars.png", "image/png");
  await visit.attached.nth(0).waitFor();
  await give("drop", await readFile(other), "letters.png", "image/png");
  await visit.attached.nth(1).waitFor();
  await visit.button("Remove letters.png").press("Alt+ArrowLeft");
  const asked = stage.next();
  await visit.send("What differs?");
  const exchange = await asked;
  exchange.begin().say("All.").finish();
  const keys = exchange.request.messages[0]?.content.flatMap((part) =>
    part.type === "image_reference" ? [part.key] : [],
  );
  expect(keys?.map((key) => stage.blobs.get(key)?.length)).toEqual(
    [await readFile(other), await readFile(SAMPLE)].map(({ length }) => length),
  );
  await visit.button("Show letters.png large").click();
  await visit.page.getByRole("dialog", { name: "Picture" }).waitFor();
  await visit.page.keyboard.press("ArrowRight");
  await visit.page.getByText("stars.png ·").waitFor();
  await visit.page.keyboard.press("Escape");
  await visit.page.getByRole("dialog").waitFor({ state: "detached" });
});

test("files that models cannot see are refused in sentences", async () => {
  const frames = Buffer.concat([Buffer.alloc(1200, 0), Buffer.alloc(1200, 255)]);
  const raw = { width: 20, height: 40, channels: 3, pageHeight: 20 } as const;
  const dance = await sharp(frames, { raw }).gif({ delay: 100 }).toBuffer();
  await give("drop", dance, "dance.gif", "image/gif");
  await visit.page.getByText('"dance.gif" is an animation.').waitFor();
  const still = { name: "stars.png", mimeType: "image/png", buffer: await readFile(SAMPLE) };
  const moving = { name: "dance.gif", mimeType: "image/gif", buffer: dance };
  const notes = { name: "notes.png", mimeType: "image/png", buffer: Buffer.from("words") };
  await visit.page.locator("input[type=file][multiple]").setInputFiles([moving, still, notes]);
  await visit.attached.waitFor();
  const problem = visit.page.locator(".draft-problem");
  await problem.getByText('"dance.gif" is an animation.').waitFor();
  await problem.getByText('"notes.png" as a picture').waitFor();
  await visit.button("Remove stars.png").click();
  await give("drop", Buffer.from("\0\0\0\x18ftypheic...."), "IMG_2.HEIC", "image/heic");
  await visit.page.getByText('"IMG_2.HEIC" is a HEIC picture').waitFor();
  await give("drop", Buffer.from("<svg xmlns='http://www.w3.org/2000/svg'/>"), "plan.svg", "image/svg+xml");
  await visit.page.getByText('"plan.svg" is an SVG drawing.').waitFor();
  expect(await visit.attached.count()).toBe(0);
});

test("the model can be chosen, says what it cannot do, and is what is asked", async () => {
  stage.models = [card("llava-demo"), card("llava-v1.5-7b")];
  await visit.page.locator(".model-note").getByText("never saw a photograph").waitFor();
  const picker = visit.page.getByRole("combobox", { name: "Model" });
  await picker.locator("option", { hasText: "llava-v1.5-7b" }).waitFor({ state: "attached" });
  await picker.selectOption("llava-v1.5-7b");
  await visit.button("Parameters").click();
  await visit.page.getByRole("slider", { name: "Temperature" }).fill("0.9");
  await visit.page.keyboard.press("Escape");
  const asked = stage.next();
  await visit.send("Who are you?");
  const exchange = await asked;
  expect(exchange.request).toMatchObject({ model: "llava-v1.5-7b", temperature: 0.9 });
  exchange.begin().finish();
});

test("Enter sends, Shift and Enter break the line, an input method's Enter does neither", async () => {
  await visit.type("One");
  await visit.question.press("Shift+Enter");
  await visit.question.pressSequentially("two");
  expect(await visit.question.inputValue()).toBe("One\ntwo");
  await visit.page.evaluate(`document.querySelector("#question").dispatchEvent(
    new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, isComposing: true, bubbles: true }))`);
  expect(await visit.page.locator(".turn").count()).toBe(0);
  const asked = stage.next();
  await visit.question.press("Enter");
  const exchange = await asked;
  exchange.begin().say("Yes.").finish();
  expect(exchange.request.messages[0]?.content).toEqual([{ type: "text", text: "One\ntwo" }]);
});

test("nothing is wider than a telephone of 360 pixels", async () => {
  await visit.page.setViewportSize({ width: 360, height: 640 });
  const width = async (): Promise<unknown> =>
    visit.page.evaluate(
      "Math.max(...Array.from(document.querySelectorAll('.chat, .header, main > .column, .card'), (e) => e.getBoundingClientRect().right))",
    );
  await visit.chooseSample("Shapes");
  expect(await width()).toBeLessThanOrEqual(360);
  const asked = stage.next();
  await visit.button("What color is the circle?").click();
  (await asked).begin().say("A".repeat(500)).finish();
  await visit.answer("finished").waitFor();
  expect(await width()).toBeLessThanOrEqual(360);
});
