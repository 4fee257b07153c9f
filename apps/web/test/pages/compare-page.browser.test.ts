/** Tests comparisons side by side and blind in a real browser. */
import type { FastifyInstance } from "fastify";
import type { Browser, Locator } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { createApp } from "../../src/server/web-app.ts";
import { openBrowser } from "../../../../scripts/page/chromium.ts";
import { buildPage } from "../support/built-page.ts";
import type { BuiltPage } from "../support/built-page.ts";
import { ControllerStage, card } from "../support/controller-stage.ts";
import type { Exchange } from "../support/controller-stage.ts";
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
  stage.models = [card("small"), card("large")];
  app = await createApp({ controllerUrl: stage.url, pageFolder: built.folder });
  url = await app.listen({ host: "127.0.0.1", port: 0 });
  visit = await Visit.open(browser, `${url}/compare`);
  await visit.whenReady();
});
afterEach(async () => {
  await visit[Symbol.asyncDispose]();
  await app.close();
  await stage.close();
  expect(visit.complaints).toEqual([]);
});

const side = (name: "A" | "B"): Locator =>
  visit.page.getByRole("region", { name: new RegExp(`^Answer ${name}`) }).first();

/** The two requests of one comparison, by the model that is asked. */
async function askBoth(text: string): Promise<ReadonlyMap<string, Exchange>> {
  const both = Promise.all([stage.next(), stage.next()]);
  await visit.send(text);
  const exchanges = await both;
  return new Map(exchanges.map((exchange) => [exchange.request.model, exchange]));
}

test("compare: two models on one question; each can fail alone; a vote counts and stays", async () => {
  await visit.page.getByRole("slider", { name: "Temperature of Answer B" }).fill("0.8");
  const asked = await askBoth("What is this?");
  expect([...asked.keys()].toSorted()).toEqual(["large", "small"]);
  expect(asked.get("small")?.request.temperature).toBe(0.2);
  expect(asked.get("large")?.request.temperature).toBe(0.8);
  asked.get("small")?.begin().say("A cat.").finish();
  await side("A").getByText("A cat.").waitFor();
  const second = asked.get("large")?.begin().say("A d");
  await side("B").getByText("A d", { exact: true }).waitFor();
  second?.breakOff();
  await side("B").getByText("broke").waitFor();
  await visit.button("A is better").click();
  await visit.page.getByText("You found A better.").waitFor();
  const row = visit.page.getByRole("row", { name: /^small/ });
  expect(await row.getByRole("cell").allTextContents()).toEqual(["1", "0", "0", "100 %", "21 % – 100 %"]);
  await visit.page.reload();
  await visit.page.getByText("You found A better.").waitFor();
  await side("A").getByText("A cat.").waitFor();
});

test("compare blind: no model is named before the vote, both answers survive a reload", async () => {
  await visit.page.getByRole("radio", { name: "Blind" }).check();
  const asked = await askBoth("What is this?");
  for (const exchange of asked.values()) exchange.begin().say("A heron");
  await side("A").getByText("A heron").waitFor();
  const round = visit.page.getByRole("article");
  for (const name of ["small", "large"]) expect(await round.getByText(name).count()).toBe(0);
  await visit.page.reload();
  await side("B").getByText("A heron").waitFor();
  for (const exchange of asked.values()) exchange.say(" in a pond.").finish();
  await side("A").getByText("A heron in a pond.").waitFor();
  await side("B").getByText("A heron in a pond.").waitFor();
  expect(await round.getByText("tokens/s").count()).toBe(0);
  const voted = visit.page.waitForRequest("**/api/votes");
  // A digit votes only while the focus is in the comparison.
  await visit.page.getByRole("heading", { name: "Compare two answers" }).click();
  await visit.page.keyboard.press("1");
  await side("A").getByText("A heron in a pond.").click();
  await visit.page.keyboard.press("3");
  const vote = (await voted).postDataJSON() as { type: string; models: string[] };
  expect(vote.type).toBe("tievote");
  expect(vote.models.toSorted()).toEqual(["large", "small"]);
  for (const name of ["small", "large"]) await round.getByText(name).waitFor();
  expect(await round.getByText("tokens/s").count()).toBe(2);
});

test("compare on a phone shows one answer at a time, and marks new words in the other", async () => {
  await visit.page.setViewportSize({ width: 390, height: 844 });
  const asked = await askBoth("What is this?");
  asked.get("small")?.begin().say("A heron.").finish();
  await side("A").getByText("A heron.").waitFor();
  const other = visit.button(/^Answer B/);
  expect(await other.textContent()).toBe("Answer B");
  const second = asked.get("large")?.begin().say("A stork");
  await visit.button(/^Answer B.*has new words$/).click();
  await side("B").getByText("A stork").waitFor();
  expect(await side("A").isVisible()).toBe(false);
  second?.say(" on a roof.").finish();
  await side("B").getByText("A stork on a roof.").waitFor();
  await visit.button(/^Answer A/).click();
  await side("A").getByText("A heron.").waitFor();
  expect(await other.textContent()).toBe("Answer B");
  expect(await visit.page.getByText("Equally good").isVisible()).toBe(true);
});
