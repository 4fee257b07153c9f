/** The page's own endpoints over real HTTP, before a controller that answers when the test says so. */
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { LlavaError, readBody, SseParser } from "@llava/protocol";
import type { PageEvent } from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { ControllerStage } from "../../test/controller-stage.ts";
import { createApp } from "./app.ts";
import { openConversationLog } from "./conversation-log.ts";

const QUESTION = { model: "llava-demo", messages: [{ role: "user", content: "What is red?" }] };
const JSON_TYPE = { "content-type": "application/json" };

let folder: string;
let stage: ControllerStage;
let app: FastifyInstance;
let url: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "llava-web-"));
  await writeFile(join(folder, "index.html"), "<title>LLaVA</title>");
  stage = await new ControllerStage().open();
  const log = { warn: () => undefined, info: () => undefined };
  const conversations = await openConversationLog({ folder: join(folder, "log"), log });
  app = await createApp({ controllerUrl: stage.url, pageFolder: folder, conversations });
  url = await app.listen({ host: "127.0.0.1", port: 0 });
});
afterEach(async () => {
  await app.close();
  await stage.close();
  await rm(folder, { recursive: true, force: true });
});

/** A browser: its cookie, and what it hears on a connection. */
class Browser {
  cookie = "";

  async send(method: string, path: string, body?: object): Promise<Response> {
    const headers = { ...(body ? JSON_TYPE : {}), ...(this.cookie ? { cookie: this.cookie } : {}) };
    const response = await fetch(url + path, {
      method,
      headers,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    this.#keep(response);
    return response;
  }

  async ask(): Promise<string> {
    const response = await this.send("POST", "/api/chat", QUESTION);
    expect(response.status).toBe(202);
    const { stream } = (await response.json()) as { stream: string };
    return stream;
  }

  async listen(after?: string): Promise<Ear> {
    const leaving = new AbortController();
    const response = await fetch(`${url}/api/events${after === undefined ? "" : `?after=${after}`}`, {
      headers: this.cookie ? { cookie: this.cookie } : {},
      signal: leaving.signal,
    });
    expect(response.status).toBe(200);
    this.#keep(response);
    return new Ear(response, leaving);
  }

  #keep(response: Response): void {
    const [first] = response.headers.getSetCookie();
    if (first === undefined) return;
    expect(first).toMatch(/^llava_session=[0-9a-f]{32}; Path=\/; HttpOnly; SameSite=Strict/);
    this.cookie = first.split(";")[0] ?? "";
  }
}

class Ear {
  readonly events: PageEvent[] = [];
  lastId = "";
  readonly #leaving: AbortController;
  readonly done: Promise<void>;

  constructor(response: Response, leaving: AbortController) {
    this.#leaving = leaving;
    this.done = this.#read(response).catch(() => undefined);
  }

  leave(): void {
    this.#leaving.abort();
  }

  /** The text that a page would show. */
  textOf(stream: string, before = ""): string {
    let text = before;
    for (const event of this.events) {
      if (event.type === "snapshot" && event.stream === stream) text = event.text;
      if (event.type === "delta" && event.stream === stream) text += event.text;
    }
    return text;
  }

  async heard(type: PageEvent["type"]): Promise<PageEvent> {
    await expect.poll(() => this.events.find((event) => event.type === type)).toBeDefined();
    return this.events.find((event) => event.type === type) as PageEvent;
  }

  async #read(response: Response): Promise<void> {
    const parser = new SseParser();
    const decoder = new TextDecoder();
    for await (const bytes of readBody(response.body)) {
      this.lastId = /(?:.*^id: (\S+)$)/ms.exec(decoder.decode(bytes))?.[1] ?? this.lastId;
      for (const { data } of parser.push(bytes)) this.events.push(JSON.parse(data) as PageEvent);
    }
  }
}

describe("an answer", () => {
  test("reaches every tab that listens, word by word, and ends once", async () => {
    const browser = new Browser();
    const first = await browser.listen();
    const second = await browser.listen();
    const next = stage.next();
    const stream = await browser.ask();
    const exchange = await next;
    expect(exchange.request).toMatchObject({ model: "llava-demo", stream: true, includeUsage: true });
    exchange
      .begin()
      .write(': progress {"kind":"reading","done":10,"total":83}\n\n')
      .say("The circle")
      .say(" is red.")
      .finish();
    for (const ear of [first, second]) {
      await ear.heard("end");
      expect(ear.textOf(stream)).toBe("The circle is red.");
      expect(ear.events[0]).toMatchObject({ type: "hello" });
      expect(ear.events.filter(({ type }) => type === "end")).toEqual([
        expect.objectContaining({ end: expect.objectContaining({ kind: "finished", reason: "stop" }) }),
      ]);
      expect(ear.events).toContainEqual({
        type: "progress",
        stream,
        progress: { kind: "reading", done: 10, total: 83 },
      });
      ear.leave();
    }
  });

  test("goes on while nobody listens, and whoever comes back has all of it", async () => {
    const browser = new Browser();
    const next = stage.next();
    const stream = await browser.ask();
    const exchange = (await next).begin().say("One, ");
    const before = await browser.listen();
    await before.heard("snapshot");
    exchange.say("two, ");
    await before.heard("delta");
    before.leave();
    await before.done;
    exchange.say("three").finish();
    const after = await browser.listen(before.lastId);
    await after.heard("end");
    expect(after.events.some(({ type }) => type === "snapshot")).toBe(false);
    expect(after.textOf(stream, before.textOf(stream))).toBe("One, two, three");
    // An id that means nothing here: everything from the start.
    const fresh = await browser.listen("0000-7");
    await fresh.heard("snapshot");
    expect(fresh.textOf(stream)).toBe("One, two, three");
    for (const ear of [after, fresh]) ear.leave();
  });

  test("loses and repeats nothing over connections that break at any moment", async () => {
    const browser = new Browser();
    const next = stage.next();
    const stream = await browser.ask();
    const exchange = (await next).begin();
    let ear = await browser.listen();
    let text = "";
    let whole = "";
    for (let i = 0; i < 40; i++) {
      exchange.say(`${i} `);
      whole += `${i} `;
      if (i % 4 !== 1) continue;
      await new Promise((resolve) => setTimeout(resolve, i % 3));
      ear.leave();
      await ear.done;
      text = ear.textOf(stream, text);
      ear = await browser.listen(ear.lastId);
    }
    exchange.finish();
    await ear.heard("end");
    expect(ear.textOf(stream, text)).toBe(whole);
    ear.leave();
  });

  test("is stopped by its own browser only, and asking twice is the same", async () => {
    const browser = new Browser();
    const ear = await browser.listen();
    const next = stage.next();
    const stream = await browser.ask();
    const exchange = (await next).begin().say("On and on");
    await ear.heard("delta");
    const stranger = new Browser();
    await (await stranger.listen()).heard("hello");
    expect((await stranger.send("DELETE", `/api/streams/${stream}`)).status).toBe(204);
    expect(ear.events.some(({ type }) => type === "end")).toBe(false);
    for (let i = 0; i < 2; i++)
      expect((await browser.send("DELETE", `/api/streams/${stream}`)).status).toBe(204);
    await exchange.left;
    expect(await ear.heard("end")).toMatchObject({ stream, end: { kind: "stopped" } });
    ear.leave();
  });

  test("that fails says why, and when to try again", async () => {
    const browser = new Browser();
    const ear = await browser.listen();
    const next = stage.next();
    await browser.ask();
    (await next).refuse(new LlavaError("overloaded", "All places are taken. Try again in 2 s."));
    expect(await ear.heard("end")).toMatchObject({
      end: {
        kind: "failed",
        error: { code: "overloaded", message: "All places are taken. Try again in 2 s." },
      },
    });
    ear.leave();
  });

  test("that breaks off is no whole one", async () => {
    const browser = new Browser();
    const ear = await browser.listen();
    const next = stage.next();
    await browser.ask();
    const exchange = (await next).begin().say("The circle");
    await ear.heard("delta");
    exchange.breakOff();
    expect(await ear.heard("end")).toMatchObject({ end: { kind: "failed", error: { code: "worker_lost" } } });
    ear.leave();
  });
});

describe("the door", () => {
  test("takes questions as JSON only, and no more than eight at a time", async () => {
    const browser = new Browser();
    const plain = await fetch(`${url}/api/chat`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: "{}",
    });
    expect(plain.status).toBe(415);
    expect((await browser.send("POST", "/api/chat", { model: 1 })).status).toBe(400);
    for (let i = 0; i < 8; i++) {
      const next = stage.next();
      await browser.ask();
      (await next).begin();
    }
    expect((await browser.send("POST", "/api/chat", QUESTION)).status).toBe(429);
  });

  test("keeps other sites out", async () => {
    const headers = { ...JSON_TYPE, origin: "https://evil.example" };
    const response = await fetch(`${url}/api/chat`, {
      method: "POST",
      headers,
      body: JSON.stringify(QUESTION),
    });
    expect(response.status).toBe(403);
  });

  test("shows the page at its places", async () => {
    for (const path of ["/", "/c/abc", "/compare", "/cluster"])
      expect(await (await fetch(url + path)).text()).toContain("<title>LLaVA</title>");
  });
});

describe("models", () => {
  test("are told on every connection, and again when the controller is gone", async () => {
    const ear = await new Browser().listen();
    expect(await ear.heard("models")).toMatchObject({
      models: [{ card: { id: "llava-demo" }, state: "ready", numWorkers: 1 }],
      problem: null,
    });
    await stage.close();
    await expect
      .poll(() => ear.events.at(-1), { timeout: 10_000 })
      .toMatchObject({ type: "models", models: [{ state: "gone" }], problem: { code: "no_worker" } });
    ear.leave();
  });
});

describe("a vote", () => {
  const conversation = [
    { role: "user", text: "What is red?", pictures: ["sha256:00"] },
    { role: "assistant", text: "The circle.", pictures: [] },
  ];

  test("is written down in LLaVA's format", async () => {
    const browser = new Browser();
    const one = { type: "upvote", models: ["m"], conversations: [conversation] };
    const two = { type: "tievote", models: ["m", "n"], conversations: [conversation, conversation] };
    for (const vote of [one, two])
      expect(await (await browser.send("POST", "/api/votes", vote)).json()).toEqual({ stored: true });
    expect((await browser.send("POST", "/api/votes", { ...two, models: ["m"] })).status).toBe(400);
    await expect.poll(async () => (await lines()).length).toBe(2);
    const [first, second] = await lines();
    expect(first).toMatchObject({
      type: "upvote",
      model: "m",
      ip: "127.0.0.1",
      state: {
        roles: ["USER", "ASSISTANT"],
        messages: [
          ["USER", "<image>\nWhat is red?"],
          ["ASSISTANT", "The circle."],
        ],
      },
    });
    expect(second).toMatchObject({
      type: "tievote",
      models: ["m", "n"],
      states: [{ offset: 0 }, { offset: 0 }],
    });
  });

  async function lines(): Promise<readonly unknown[]> {
    const [file] = (await readdir(join(folder, "log"))).filter((name) => name.endsWith("-conv.json"));
    if (file === undefined) return [];
    const text = await readFile(join(folder, "log", file), "utf8");
    return text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
  }
});
