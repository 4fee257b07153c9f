/** Tests heat maps before a real controller, a real worker and the demo model. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { openBrowser } from "../../../../scripts/page/chromium.ts";
import { axeViolations } from "../support/axe.ts";
import { buildPage } from "../support/built-page.ts";
import type { BuiltPage } from "../support/built-page.ts";
import { Visit } from "../support/visit.ts";
import { WholeService } from "../support/whole-service.ts";

let built: BuiltPage;
let service: WholeService;
let browser: Browser;
let visit: Visit;
beforeAll(async () => {
  [built, browser] = await Promise.all([buildPage(), openBrowser()]);
  service = await WholeService.start(built.folder);
});
afterAll(async () => {
  await browser.close();
  await service[Symbol.asyncDispose]();
  await built[Symbol.asyncDispose]();
});
beforeEach(async () => {
  visit = await Visit.open(browser, service.url);
  await visit.whenReady();
  await visit.chooseSample("Shapes");
  await visit.send("What color is the circle?");
  await visit.answer("finished").waitFor();
  await visit.button("What it looked at").click();
});
afterEach(async () => {
  await visit[Symbol.asyncDispose]();
  expect(visit.complaints).toEqual([]);
});

/** Row and column of the largest number of the table. */
async function peak(page: Page): Promise<{ readonly row: number; readonly column: number; most: number }> {
  const rows = await page
    .locator(".heat-table tbody tr")
    .evaluateAll((trs) =>
      trs.map((tr) => [...tr.querySelectorAll("td")].map((td) => Number(td.textContent))),
    );
  const cells = rows.flatMap((values, row) => values.map((most, column) => ({ row, column, most })));
  return cells.reduce((best, each) => (each.most > best.most ? each : best));
}

test("heat map: the word red depends on the circle at the left side", async () => {
  const { page } = visit;
  const dialog = page.getByRole("dialog", { name: "What a word owes to the picture" });
  await dialog.getByRole("button", { name: "red", exact: true }).click();
  await dialog.getByText("“red” owes most to the left side of the picture.").waitFor();
  const { row, column, most } = await peak(page);
  // The circle is at the middle left of 8 × 8 cells.
  expect(column).toBeLessThan(3);
  expect(Math.abs(row - 3.5)).toBeLessThan(2);
  expect(most).toBeGreaterThan(1);
  // The overlay is brightest at the same place.
  const brightest = await page.evaluate<{ readonly x: number; readonly y: number }>(`(() => {
    const { width, height } = document.querySelector("canvas.heat-overlay");
    const context = document.querySelector("canvas.heat-overlay").getContext("2d");
    const pixels = context.getImageData(0, 0, width, height).data;
    const light = (at) => pixels[4 * at] + pixels[4 * at + 1] + pixels[4 * at + 2];
    let best = 0;
    for (let at = 0; at < width * height; at++) if (light(at) > light(best)) best = at;
    return { x: (best % width) / width, y: best / width / height };
  })()`);
  expect(brightest.x).toBeLessThan(0.4);
  expect(Math.abs(brightest.y - 0.5)).toBeLessThan(0.25);
  for (const colorScheme of ["light", "dark"] as const)
    for (const width of [1280, 360]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize({ width, height: 800 });
      expect(await axeViolations(page), `${colorScheme}, ${width} px`).toEqual([]);
    }
});

test("heat map: a word of the question depends on nothing; arrow keys move between words", async () => {
  const { page } = visit;
  const words = page.getByRole("group", { name: "Choose a word of the answer:" });
  await words.getByRole("button", { name: "The", exact: true }).focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await page.getByText("“circle” owes next to nothing to this picture").waitFor();
  expect(await words.getByRole("button", { pressed: true }).allTextContents()).toEqual(["circle"]);
  await page.keyboard.press("Escape");
  await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
});

test("a missing controller is reported in a sentence", async () => {
  const { page } = visit;
  await page.route("**/v1/occlusion_maps", (route) => route.abort());
  await page.getByRole("dialog").getByRole("button", { name: "red", exact: true }).click();
  await page.getByText("The server cannot be reached.").first().waitFor();
  await page.unroute("**/v1/occlusion_maps");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("“red” owes most to").waitFor();
  // The browser reports the aborted request, as it should.
  visit.complaints.length = 0;
});
