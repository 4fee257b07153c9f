/** Tests the page with two real workers: a blind comparison, and the death of one worker in the middle of an answer. */
import type { Browser, Locator } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { openBrowser } from "../../../../scripts/page/chromium.ts";
import { axeViolations } from "../support/axe.ts";
import { buildPage } from "../support/built-page.ts";
import type { BuiltPage } from "../support/built-page.ts";
import { Visit } from "../support/visit.ts";
import { WholeService } from "../support/whole-service.ts";

const ALL_SHAPES =
  "There is a large yellow star at the top right, a large red circle at the middle left and a small green square at the bottom right.";
/** The head of the response and some words with their tokens. */
const SOME_WORDS_BYTES = 2_500;

let built: BuiltPage;
let browser: Browser;
let service: WholeService;
let visit: Visit;
beforeAll(async () => {
  [built, browser] = await Promise.all([buildPage(), openBrowser()]);
});
afterAll(async () => {
  await browser.close();
  await built[Symbol.asyncDispose]();
});

async function open(models: string[], path = ""): Promise<void> {
  service = await WholeService.start(built.folder, models);
  visit = await Visit.open(browser, service.url + path);
}
afterEach(async () => {
  await visit[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
  expect(visit.complaints).toEqual([]);
});

test("compare blind: two models are asked, voted on, then named, and the same after a reload", async () => {
  await open(["heron", "kestrel"], "/compare");
  await visit.whenReady();
  await visit.page.getByRole("radio", { name: "Blind" }).check();
  const input = visit.page.locator("input[type=file][multiple]").first();
  await input.setInputFiles(`${built.folder}/samples/shapes.png`);
  await visit.attached.waitFor();
  await visit.send("What color is the circle?");
  const side = (name: string): Locator =>
    visit.page.getByRole("region", { name: new RegExp(`^Answer ${name}`) }).first();
  for (const name of ["A", "B"]) await side(name).getByText("The circle is red.").waitFor();
  const round = visit.page.getByRole("article");
  for (const name of ["heron", "kestrel"]) expect(await round.getByText(name).count()).toBe(0);
  await visit.button("Equally good").click();
  await visit.page.getByText("You found both equally good.").waitFor();
  for (const name of ["heron", "kestrel"]) await round.getByText(name).first().waitFor();
  await visit.page.reload();
  await visit.page.getByText("You found both equally good.").waitFor();
  for (const name of ["A", "B"]) await side(name).getByText("The circle is red.").waitFor();
  const row = visit.page.getByRole("row", { name: /^heron/ });
  await expect.poll(() => row.getByRole("cell").first().textContent()).toBe("0");
});

test("a worker is killed in the middle of an answer: the other one completes it, and the cluster page shows it", async () => {
  await open(["llava-demo", "llava-demo"]);
  await visit.whenReady();
  await visit.chooseSample("Shapes");
  for (const { proxy } of service.workers) proxy.holdAfter(SOME_WORDS_BYTES);
  await visit.send("Describe the image.");
  await visit.answer("streaming").waitFor();
  await expect.poll(() => service.workers.filter(({ proxy }) => proxy.isHolding).length).toBe(1);
  const lost = service.workers.find(({ proxy }) => proxy.isHolding);
  const other = service.workers.find(({ proxy }) => !proxy.isHolding);
  if (!lost || !other) throw new Error("Nobody answers.");
  other.proxy.release();
  const begun = (await visit.words.textContent()) ?? "";
  expect(begun.length).toBeGreaterThan(0);
  expect(begun.length).toBeLessThan(ALL_SHAPES.length);
  lost.process.kill("SIGKILL");
  await visit.answer("finished").waitFor();
  expect(await visit.words.textContent()).toBe(ALL_SHAPES);
  await visit.page.getByText("another worker went on with it").waitFor();

  await visit.page.getByRole("link", { name: "Cluster" }).click();
  const [from, to] = [lost.address, other.address].map((address) => address.replace("http://", ""));
  const events = visit.page.locator(".cluster-events");
  await events.getByText(`An answer of llava-demo broke off at ${from} and went on at ${to}.`).waitFor();
  await events.getByText(`${from} was lost: its connection failed.`).waitFor();
  await events.getByText(`${to} joined with llava-demo.`).waitFor();
  await expect.poll(() => visit.page.locator(".workers tbody tr").count()).toBe(1);
  await visit.page.getByText("1 worker up").waitFor();
  const worker = visit.page.getByRole("row", { name: new RegExp(String(to)) });
  await worker.getByText("ready").waitFor();
});

test("cluster page: figures update, can be paused, sorted and read as tables; axe finds nothing", async () => {
  await open(["heron", "kestrel"], "/cluster");
  await visit.page.getByText("2 workers up").waitFor();
  await visit.page.getByRole("button", { name: "Model", exact: true }).click();
  await visit.page.getByRole("button", { name: "Model", exact: true }).click();
  const first = visit.page.locator(".workers tbody tr").first();
  await expect.poll(() => first.locator("td").first().textContent()).toBe("kestrel");
  expect(await visit.page.locator('th[aria-sort="descending"]').textContent()).toBe("Model");
  const asked = { model: "heron", messages: [{ role: "user", content: "What color is the circle?" }] };
  const [heron] = service.workers;
  heron?.proxy.holdAfter(0);
  const answered = fetch(`${service.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...asked, stream: true }),
  }).then((response) => response.text());
  const waiting = visit.page.getByRole("row", { name: /^heron [1-9]\d* s 127\.0\.0\.1:\d+ word by word$/ });
  await waiting.waitFor();
  expect(await axeViolations(visit.page), "while somebody waits").toEqual([]);
  heron?.proxy.release();
  await answered;
  await visit.page.getByText("Nobody waits.").waitFor();
  const chart = visit.page.getByRole("img", { name: /^Tokens per second: .*[1-9]\d* at most$/ });
  await chart.waitFor();
  await visit.page.getByText("As a table").first().click();
  await visit.page.getByRole("row", { name: /[1-9]/ }).first().waitFor();
  for (const colorScheme of ["light", "dark"] as const)
    for (const width of [1280, 768, 360]) {
      await visit.page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await visit.page.setViewportSize({ width, height: 800 });
      expect(await axeViolations(visit.page), `${colorScheme}, ${width} px`).toEqual([]);
    }
  await visit.page.getByRole("radio", { name: "1 hour" }).check();
  await visit.page.getByText("1 h ago").first().waitFor();
  await visit.button("Pause").click();
  await visit.page.getByText(/^Paused, [1-9]\d* s old$/).waitFor();
  await visit.button("Go on").click();
  await visit.page.getByText("live", { exact: true }).waitFor();
});
