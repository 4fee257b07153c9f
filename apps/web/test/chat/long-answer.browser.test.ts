/**
 * Tests that a long answer stays fast, by counts that do not depend on the machine's speed: frames until a token is
 * painted, elements that are created, turns that are laid out. scripts/bench/page/bench-page.ts measures times.
 */
import { setTimeout as sleep } from "node:timers/promises";

import type { FastifyInstance } from "fastify";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { createApp } from "../../src/server/web-app.ts";
import { longMarkdown, tokensOf } from "../../../../scripts/bench/page/long-markdown.ts";
import { openBrowser } from "../../../../scripts/page/chromium.ts";
import { buildPage } from "../support/built-page.ts";
import type { BuiltPage } from "../support/built-page.ts";
import { ControllerStage } from "../support/controller-stage.ts";
import { Visit } from "../support/visit.ts";

/** A third of a second at 60 frames a second. */
const MAX_FRAMES = 20;

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
  const context = await browser.newContext();
  await context.addInitScript(NOTE_ARRIVALS);
  visit = await Visit.in(context, await app.listen({ host: "127.0.0.1", port: 0 }));
  await visit.whenReady();
});
afterEach(async () => {
  await visit[Symbol.asyncDispose]();
  await stage.close();
  await app.close();
  expect(visit.complaints).toEqual([]);
});

/** Counts frames, and records in which frame each word such as "t12" arrived. */
const NOTE_ARRIVALS = `{
  window.frame = 0;
  window.arrivals = [];
  requestAnimationFrame(function step() {
    window.frame++;
    requestAnimationFrame(step);
  });
  const ask = window.fetch;
  window.fetch = async (...question) => {
    const response = await ask(...question);
    if (!String(question[0]).startsWith("/api/events")) return response;
    const decoder = new TextDecoder();
    const noting = new TransformStream({
      transform(bytes, out) {
        for (const [, number] of decoder.decode(bytes, { stream: true }).matchAll(/"text":"t(\\d+) "/g))
          window.arrivals[Number(number)] = window.frame;
        out.enqueue(bytes);
      },
    });
    return new Response(response.body.pipeThrough(noting), response);
  };
}`;

/** Records, in the last step before painting, in which frame each word is shown for the first time. */
const NOTE_PAINTS = `{
  window.paints = [];
  const box = document.body.appendChild(document.createElement("div"));
  box.style.cssText = "position:fixed;top:0;left:0;height:1px;contain:strict;visibility:hidden";
  new ResizeObserver(() => {
    const words = document.querySelector(".turn:last-child .words")?.textContent ?? "";
    const [, number] = /t(\\d+) ?$/.exec(words.slice(-12)) ?? [];
    for (let i = window.paints.length; i <= Number(number); i++) window.paints[i] = window.frame;
  }).observe(box);
  let isWide = false;
  requestAnimationFrame(function step() {
    box.style.width = (isWide = !isWide) ? "2px" : "1px";
    requestAnimationFrame(step);
  });
}`;

test("a token that has arrived is painted a few frames later", async () => {
  const count = 300;
  await visit.page.evaluate(NOTE_PAINTS);
  const asked = stage.next();
  await visit.send("Talk.");
  const exchange = await asked;
  exchange.begin();
  for (let i = 0; i < count; i++) {
    exchange.say(`t${i} `);
    await sleep(10);
  }
  await visit.words.getByText(`t${count - 1}`).waitFor();
  const { arrivals, paints } = await visit.page.evaluate<{
    readonly arrivals: readonly number[];
    readonly paints: readonly number[];
  }>("({ arrivals, paints })");
  exchange.finish();
  await visit.answer("finished").waitFor();
  expect(arrivals).toHaveLength(count);
  const delays = paints.map((frame, token) => frame - (arrivals[token] ?? Infinity));
  const sorted = delays.toSorted((a, b) => a - b);
  expect(sorted[Math.floor(0.95 * sorted.length)], delays.join(" ")).toBeLessThanOrEqual(MAX_FRAMES);
  // The words must not all be painted in a few frames.
  expect(new Set(paints).size).toBeGreaterThan(count / 30);
});

const NOTE_CHANGES = `{
  window.changes = { added: 0, mostRemoved: 0 };
  const size = (nodes) => Array.from(nodes, (node) => 1 + (node.querySelectorAll?.("*").length ?? 0))
    .reduce((sum, one) => sum + one, 0);
  new MutationObserver((records) => {
    let removed = 0;
    for (const { target, addedNodes, removedNodes } of records) {
      if (!target.closest?.(".words")) continue;
      window.changes.added += size(addedNodes);
      removed += size(removedNodes);
    }
    window.changes.mostRemoved = Math.max(window.changes.mostRemoved, removed);
  }).observe(document.body, { subtree: true, childList: true });
}`;

test("ten thousand tokens: finished elements are not made again, invisible ones are not laid out", async () => {
  // Colours come later and replace the elements of the code.
  const text = longMarkdown(40_000).replaceAll("```js", "```");
  const tokens = tokensOf(text);
  await visit.page.evaluate(NOTE_CHANGES);
  const asked = stage.next();
  await visit.send("Write a book.");
  const exchange = await asked;
  exchange.begin();
  for (let at = 0; at < tokens.length; at += 20) {
    exchange.say(tokens.slice(at, at + 20).join(""));
    await sleep(4);
  }
  const parts = text.match(/^## /gm)?.length ?? 0;
  await expect.poll(() => visit.words.locator("h4").count()).toBe(parts);
  exchange.finish();
  await visit.answer("finished").waitFor();
  const { added, mostRemoved } = await visit.page.evaluate<{ added: number; mostRemoved: number }>("changes");
  const numElements = await visit.words.locator("*").count();
  expect(added).toBeLessThan(3 * numElements);
  expect(mostRemoved).toBeLessThan(numElements / 10);
  // The blocks themselves always have a box; only their content may be skipped.
  const inside = await visit.words.locator("> * > :first-child").evaluateAll((all) => ({
    all: all.length,
    shown: all.filter((one) => one.checkVisibility({ contentVisibilityAuto: true })).length,
  }));
  expect(inside.shown).toBeLessThan(inside.all / 2);
});

test("a conversation of 500 messages opens with its end, and the beginning follows", async () => {
  const messages = Array.from({ length: 500 }, (_, index) => ({
    id: `m${index}`,
    conversationId: "c1",
    parentId: index === 0 ? null : `m${index - 1}`,
    createdMs: index + 1,
    text: index % 2 === 0 ? `Question ${index / 2}?` : `Answer **${(index - 1) / 2}**.`,
    ...(index % 2 === 0
      ? { role: "user", pictures: [] }
      : { role: "assistant", model: "llava-demo", state: { kind: "finished", reason: "stop" } }),
  }));
  const conversations = [{ id: "c1", title: "Long", createdMs: 1, updatedMs: 1, leafId: "m499" }];
  const file = { format: "llava-conversations", version: 1, conversations, messages, pictures: {} };
  await visit.page.locator('.transfer input[type="file"]').setInputFiles({
    name: "conversations.json",
    mimeType: "application/json",
    buffer: Buffer.from(JSON.stringify(file)),
  });
  await visit.page.getByRole("link", { name: "Long" }).waitFor();
  const atFirst = await visit.page.evaluate<number>(`new Promise((resolve) => {
    const seen = new MutationObserver(() => {
      const count = document.querySelectorAll(".turn").length;
      if (count === 0) return;
      seen.disconnect();
      resolve(count);
    });
    seen.observe(document.body, { subtree: true, childList: true });
    document.querySelector(".conversation-list a").click();
  })`);
  expect(atFirst).toBeLessThan(50);
  await expect.poll(() => visit.words.textContent()).toBe("Answer 249.");
  await expect.poll(() => visit.page.locator(".turn").count()).toBe(250);
  // A user who reads the end stays at the end.
  const isEndShown = `document.querySelector(".turn:last-child .words").getBoundingClientRect().bottom <= innerHeight`;
  await expect.poll(() => visit.page.evaluate(isEndShown)).toBe(true);
});
