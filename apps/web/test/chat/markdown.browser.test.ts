/** Tests Markdown in a real browser under the page's content policy. */
import { Random } from "@llava/demo/scenes";
import type { FastifyInstance } from "fastify";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { createApp } from "../../src/server/web-app.ts";
import { openBrowser } from "../../../../scripts/page/chromium.ts";
import { buildPage } from "../support/built-page.ts";
import type { BuiltPage } from "../support/built-page.ts";
import { HOSTILE } from "../support/hostile-words.ts";
import { randomMarkdown } from "../support/random-markdown.ts";
import { Visit } from "../support/visit.ts";

const NUM_DOCUMENTS = 200;
const SPLITS_EACH = 5;

let built: BuiltPage;
let browser: Browser;
let app: FastifyInstance;
let visit: Visit;

beforeAll(async () => {
  const root = fileURLToPath(new URL("../in-browser/", import.meta.url));
  [built, browser] = await Promise.all([buildPage(root), openBrowser()]);
  // These tests ask no question; port 9 is the discard service.
  app = await createApp({ controllerUrl: "http://127.0.0.1:9", pageFolder: built.folder });
  await app.listen({ host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  await browser.close();
  await app.close();
  await built[Symbol.asyncDispose]();
});
beforeEach(async () => {
  visit = await Visit.open(browser, app.listeningOrigin);
});
afterEach(async () => {
  const { complaints } = visit;
  await visit[Symbol.asyncDispose]();
  expect(complaints, "complaints of the browser").toEqual([]);
});

const call = async <Result>(name: string, ...given: readonly unknown[]): Promise<Result> =>
  await visit.page.evaluate<Result>(`window.trial.${name}(...${JSON.stringify(given)})`);

describe("Markdown of a growing text", () => {
  test.each([
    ["whose links mean nothing before they are told what", true],
    ["that shows at each moment what its words so far mean", false],
  ])("%s: 200 texts, each cut in 5 ways", async (_, hasDefinitions) => {
    // The renderer of formulas is loaded before the comparisons.
    await call("show", "$x$");
    await visit.page.locator("math").waitFor();
    const trials = Array.from({ length: NUM_DOCUMENTS }, (_, seed) => {
      const random = Random.of(seed, String(hasDefinitions));
      const text = randomMarkdown(random, hasDefinitions);
      return Array.from({ length: SPLITS_EACH }, () => ({
        text,
        cuts: cutsOf(random, text.length),
        isLive: !hasDefinitions,
      }));
    }).flat();
    expect(trials.reduce((sum, { text }) => sum + text.length, 0)).toBeGreaterThan(200_000);
    expect(await call<readonly unknown[]>("differences", trials)).toEqual([]);
  });

  test("character by character", async () => {
    const trials = Array.from({ length: 20 }, (_, seed) => {
      const text = randomMarkdown(Random.of(seed, "letters"), false).slice(0, 600);
      return { text, cuts: Array.from({ length: text.length }, (_, index) => index + 1), isLive: true };
    });
    expect(await call<readonly unknown[]>("differences", trials)).toEqual([]);
  });

  test("keeps unchanged nodes: rows, items, and text that a user may have selected", async () => {
    const keeps = (first: string, second: string, ...paths: readonly (readonly number[])[]) =>
      call<readonly boolean[]>("keeps", first, second, paths);
    expect(await keeps("One wo", "One word and a half", [0], [0, 0])).toEqual([true, true]);
    expect(await keeps("- a\n- b", "- a\n- b **c**\n- d", [0], [0, 0], [0, 1, 0])).toEqual([
      true,
      true,
      true,
    ]);
    expect(await keeps("|a|\n|-|\n|1|\n", "|a|\n|-|\n|1|\n|2|\n", [0, 0, 1, 0])).toEqual([true]);
    expect(await keeps("```js\nlet a", "```js\nlet a = 1;\n```\n", [0, 1, 0, 0])).toEqual([true]);
  });
});

describe("Markdown elements", () => {
  test("an incomplete code fence is not shown as text", async () => {
    const texts = ["Look:\n`", "Look:\n``", "Look:\n```", "Look:\n```pyth", "- ```", "> ~~~p"];
    const shown = await Promise.all(texts.map((text) => call<string>("shownOnTheWay", text)));
    expect(shown).toEqual(["Look:", "Look:", "Look:", "Look:", "", ""]);
    expect(await call<string>("shownOnTheWay", "`a`")).toBe("a");
  });

  test("formulas as MathML, dollars as dollars", async () => {
    await call(
      "show",
      "Of $a^2 + b_1$ and \\(c\\), $5 and $10 or $HOME/$USER:\n\n$$\n\\frac{1}{2}\n$$\n\n\\[\nx\n\\]",
    );
    await visit.page.locator("math").first().waitFor();
    expect(await visit.page.locator("p math").count()).toBe(2);
    expect(await visit.page.locator("msup").count()).toBe(1);
    expect(await visit.page.locator(".math-block math").count()).toBe(2);
    expect(await visit.page.locator("p").textContent()).toContain(", $5 and $10 or $HOME/$USER:");
  });

  test("text that is no formula, or none that can be rendered, is shown as it is written", async () => {
    await call("show", "A $\\nosuch{$ and $\\href{javascript:alert(1)}{x}$ and $y$.");
    await visit.page.locator("math").first().waitFor();
    const words = (await visit.page.locator("p").textContent()) ?? "";
    expect(words).toContain("$\\nosuch{$");
    expect(await visit.page.locator("body :is(a, [href])").count()).toBe(0);
  });

  test("finished code is coloured, in lists too; unknown languages are plain", async () => {
    await call(
      "show",
      '```js\nconst a = "b";\n```\n\n- x\n\n  ```py\n  None\n  ```\n\n```klingon\nQapla\n```',
    );
    await visit.page.locator(".code-keyword", { hasText: "const" }).waitFor();
    await visit.page.locator("li .code-literal", { hasText: "None" }).waitFor();
    expect(await visit.page.locator("pre").allTextContents()).toEqual(['const a = "b";', "None", "Qapla"]);
  });

  test("thousands of nested quotations do not exhaust the stack", async () => {
    for (const text of [">".repeat(20_000), "> ".repeat(20_000), "- ".repeat(20_000), "[".repeat(20_000)]) {
      await call("show", `${text}\n\nafter`);
      expect(await visit.page.locator("body").textContent()).toContain("after");
    }
  });

  test("hostile text makes no active element, growing or whole", async () => {
    const asked: string[] = [];
    visit.page.on("request", (request) => {
      if (!request.url().startsWith(app.listeningOrigin)) asked.push(request.url());
    });
    for (const text of HOSTILE) await call("show", text);
    await call("show", HOSTILE.join("\n\n"));
    await visit.page.locator("math").first().waitFor();
    expect(
      await visit.page
        .locator("body :is(script, iframe, object, embed, style, link, form, svg, img)")
        .count(),
    ).toBe(0);
    expect(await visit.page.evaluate("window.harmed ?? 0")).toBe(0);
    expect(asked).toEqual([]);
  });
});

/** Up to twelve positions in rising order. */
function cutsOf(random: Random, length: number): readonly number[] {
  const cuts = Array.from({ length: 1 + random.int(12) }, () => random.int(length + 1));
  return cuts.toSorted((a, b) => a - b);
}
