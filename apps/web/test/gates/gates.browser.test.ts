/** Tests the page's limits: size, number of requests, accessibility, and safety against hostile text. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import type { FastifyInstance } from "fastify";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { createApp } from "../../src/server/web-app.ts";
import { openBrowser } from "../../../../scripts/page/chromium.ts";
import { axeViolations } from "../support/axe.ts";
import { buildPage } from "../support/built-page.ts";
import type { BuiltPage } from "../support/built-page.ts";
import { ControllerStage } from "../support/controller-stage.ts";
import { HOSTILE } from "../support/hostile-words.ts";
import { Visit } from "../support/visit.ts";

const KIB = 1024;

let built: BuiltPage;
let browser: Browser;
let stage: ControllerStage;
let app: FastifyInstance;
let url: string;

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
});
afterEach(async () => {
  await app.close();
  await stage.close();
});

describe("size", () => {
  test("the scripts, styles and HTML of the first visit", async () => {
    const html = await readFile(join(built.folder, "index.html"), "utf8");
    const first = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path = ""]) => path);
    const size = async (path: string): Promise<number> =>
      gzipSync(await readFile(join(built.folder, path)), { level: 9 }).length;
    const sum = async (ending: string): Promise<number> => {
      const sizes = await Promise.all(first.filter((path) => path.endsWith(ending)).map(size));
      return sizes.reduce((all, one) => all + one, 0);
    };
    expect(await sum(".js")).toBeGreaterThan(10 * KIB);
    expect(await sum(".js")).toBeLessThanOrEqual(45 * KIB);
    expect(await sum(".css")).toBeLessThanOrEqual(12 * KIB);
    expect(gzipSync(html).length).toBeLessThanOrEqual(4 * KIB);
  });

  test("every lazily loaded script", async () => {
    const files = await readdir(join(built.folder, "assets"));
    const most: Readonly<Record<string, number>> = {
      math: 62,
      highlight: 30,
      markdown: 20,
      cluster: 15,
      compare: 12,
    };
    for (const file of files.filter((name) => name.endsWith(".js") && !name.startsWith("index-"))) {
      const bytes = gzipSync(await readFile(join(built.folder, "assets", file)), { level: 9 }).length;
      expect(bytes, file).toBeLessThanOrEqual((most[file.split("-")[0] ?? ""] ?? 15) * KIB);
    }
  });

  test("five requests, all to its own server, until one can ask", async () => {
    await using visit = await Visit.open(browser, "about:blank");
    const asked: string[] = [];
    visit.page.on("request", (request) => asked.push(request.url()));
    await visit.page.goto(url);
    await visit.whenReady();
    const before = await visit.page.evaluate<string[]>(`
      performance.getEntriesByType("resource")
        .filter(({ startTime }) => startTime < performance.getEntriesByName("ready")[0].startTime)
        .map(({ name }) => name)`);
    // The stream of events has no resource entry while it lasts.
    expect(before.length + 2, before.join(" ")).toBeLessThanOrEqual(5);
    expect(asked.filter((address) => !address.startsWith(url) && !address.startsWith("blob:"))).toEqual([]);
  });
});

describe.each([
  ["light", 1280],
  ["dark", 1280],
  ["light", 768],
  ["dark", 360],
] as const)("accessibility, %s, %i px wide", (colorScheme, width) => {
  test("axe finds no violation on any page or dialog", async () => {
    await using visit = await Visit.open(browser, url, {
      colorScheme,
      viewport: { width, height: 800 },
      // Transitions would give axe colours in between.
      reducedMotion: "reduce",
    });
    await visit.whenReady();
    await visit.page.locator(".sample").first().waitFor();
    await expectAccessible(visit, "welcome");
    await visit.chooseSample("Shapes");
    await expectAccessible(visit, "a picture attached");
    const asked = stage.next();
    await visit.button("Describe the image.").click();
    const exchange = await asked;
    await visit.answer("waiting").waitFor();
    await expectAccessible(visit, "waiting");
    exchange
      .begin()
      .say(
        "## A table\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```js\n1;\n```\n\n- [x] done\n\n[x](https://e.example)",
      )
      .finish();
    await visit.answer("finished").waitFor();
    await expectAccessible(visit, "an answer");
    await visit.button("Show Shapes large").click();
    await visit.page.getByRole("dialog").waitFor();
    await expectAccessible(visit, "a picture large");
    await visit.page.keyboard.press("Escape");
    await visit.page.keyboard.press("Control+/");
    await visit.page.getByRole("dialog", { name: "Keys" }).waitFor();
    await expectAccessible(visit, "the keys");
    await visit.page.keyboard.press("Escape");
    await visit.button("Parameters").click();
    await visit.page.getByRole("slider", { name: "Temperature" }).waitFor();
    await expectAccessible(visit, "the parameters");
    await visit.page.keyboard.press("Escape");
    await visit.page.keyboard.press("Alt+n");
    await visit.button("Draw your own").click();
    await visit.page.getByRole("dialog", { name: "Draw a scene" }).waitFor();
    await visit.button("Add a shape").click();
    await visit.page.getByLabel("Colour").waitFor();
    await expectAccessible(visit, "the editor of drawings");
    await visit.page.keyboard.press("Escape");
    await visit.button("Take a picture").click();
    await visit.page.getByRole("dialog", { name: "Take a picture" }).waitFor();
    await expectAccessible(visit, "the camera");
    await visit.page.keyboard.press("Escape");
    await visit.page.getByRole("button", { name: /Reading/ }).click();
    await visit.button("Cut out a part").click();
    await visit.page.getByRole("dialog", { name: "Cut out a part" }).waitFor();
    await expectAccessible(visit, "the part that is cut out");
    await visit.page.keyboard.press("Escape");
    await visit.page.keyboard.press("Control+k");
    await visit.page.getByRole("searchbox").waitFor();
    await expectAccessible(visit, "the list of conversations");
    await visit.page.goto(`${url}/compare`);
    await visit.whenReady();
    await visit.send("What is this?");
    await visit.button("A is better").click();
    await visit.page.getByText("You found A better.").waitFor();
    await expectAccessible(visit, "a comparison");
    expect(visit.complaints).toEqual([]);
  });

  async function expectAccessible(visit: Visit, where: string): Promise<void> {
    expect(await axeViolations(visit.page), where).toEqual([]);
  }
});

test("hostile text runs no script and sends no request", async () => {
  await using visit = await Visit.open(browser, url);
  const foreign: string[] = [];
  visit.page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("blob:")) foreign.push(request.url());
  });
  await visit.page.evaluate("window.harmed = 0");
  await visit.whenReady();
  for (const [index, words] of HOSTILE.entries()) {
    // The conversation is checked before it is left.
    if (index % 10 === 9) {
      await expectHarmless(visit);
      await visit.button("New chat").click();
    }
    const asked = stage.next();
    await visit.send(words);
    (await asked).begin().say(words).finish();
    await visit.answer("finished").waitFor();
  }
  await expectHarmless(visit);
  expect(await visit.page.evaluate("window.harmed")).toBe(0);
  expect(foreign).toEqual([]);
  expect(visit.complaints).toEqual([]);
});

async function expectHarmless(visit: Visit): Promise<void> {
  const shown = visit.page.locator(".turns");
  expect(
    await shown.locator("script, iframe, object, embed, style, link, form, svg use, .words img").count(),
  ).toBe(0);
  const handlers = await shown
    .locator("*")
    .evaluateAll((all) =>
      all.flatMap((one) => one.getAttributeNames().filter((name: string) => name.startsWith("on"))),
    );
  expect(handlers).toEqual([]);
  const schemes = await shown
    .locator("a")
    .evaluateAll((all) => all.map((a) => (a as unknown as { protocol: string }).protocol));
  expect(schemes.filter((scheme) => !["http:", "https:", "mailto:"].includes(scheme))).toEqual([]);
}
