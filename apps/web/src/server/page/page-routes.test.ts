/** Tests the page's own routes over real HTTP, before a controller whose answers the test controls. */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { LlavaError } from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { ControllerStage } from "../../../test/support/controller-stage.ts";
import { QUESTION, Visitor } from "../../../test/support/visitor.ts";
import { createApp } from "../web-app.ts";
import { openConversationLog } from "../log/conversation-log.ts";

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

describe("an answer", () => {
  test("reaches every tab that listens, word by word, and ends once", async () => {
    const browser = new Visitor(url);
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
    for (const reader of [first, second]) {
      await reader.received("end");
      expect(reader.textOf(stream)).toBe("The circle is red.");
      expect(reader.events[0]).toMatchObject({ type: "hello" });
      expect(reader.events.filter(({ type }) => type === "end")).toEqual([
        expect.objectContaining({ end: expect.objectContaining({ kind: "finished", reason: "stop" }) }),
      ]);
      expect(reader.events).toContainEqual({
        type: "progress",
        stream,
        progress: { kind: "reading", done: 10, total: 83 },
      });
      reader.leave();
    }
  });

  test("continues without a connection, and a browser that comes back gets all of it", async () => {
    const browser = new Visitor(url);
    const next = stage.next();
    const stream = await browser.ask();
    const exchange = (await next).begin().say("One, ");
    const before = await browser.listen();
    await before.received("snapshot");
    exchange.say("two, ");
    await before.received("delta");
    before.leave();
    await before.done;
    exchange.say("three").finish();
    const after = await browser.listen({ after: before.lastId });
    await after.received("end");
    expect(after.events.some(({ type }) => type === "snapshot")).toBe(false);
    expect(after.textOf(stream, before.textOf(stream))).toBe("One, two, three");
    // An id of another process gives everything from the start.
    const fresh = await browser.listen({ after: "0000-7" });
    await fresh.received("snapshot");
    expect(fresh.textOf(stream)).toBe("One, two, three");
    for (const reader of [after, fresh]) reader.leave();
  });

  test("is stopped by its own browser only, and asking twice is the same", async () => {
    const browser = new Visitor(url);
    const reader = await browser.listen();
    const next = stage.next();
    const stream = await browser.ask();
    const exchange = (await next).begin().say("On and on");
    await reader.received("delta");
    const other = new Visitor(url);
    await (await other.listen()).received("hello");
    expect((await other.send("DELETE", `/api/streams/${stream}`)).status).toBe(204);
    expect(reader.events.some(({ type }) => type === "end")).toBe(false);
    for (let i = 0; i < 2; i++)
      expect((await browser.send("DELETE", `/api/streams/${stream}`)).status).toBe(204);
    await exchange.left;
    expect(await reader.received("end")).toMatchObject({ stream, end: { kind: "stopped" } });
    reader.leave();
  });

  test("that fails says why, and when to try again", async () => {
    const browser = new Visitor(url);
    const reader = await browser.listen();
    const next = stage.next();
    await browser.ask();
    (await next).refuse(new LlavaError("overloaded", "All places are taken. Try again in 2 s."), {
      "retry-after": "2",
    });
    expect(await reader.received("end")).toMatchObject({
      end: {
        kind: "failed",
        error: {
          code: "overloaded",
          message: "All places are taken. Try again in 2 s.",
          retryable: true,
          retryAfterMs: 2_000,
        },
      },
    });
    reader.leave();
  });

  test("that breaks off is incomplete", async () => {
    const browser = new Visitor(url);
    const reader = await browser.listen();
    const next = stage.next();
    await browser.ask();
    const exchange = (await next).begin().say("The circle");
    await reader.received("delta");
    exchange.breakOff();
    expect(await reader.received("end")).toMatchObject({
      end: { kind: "failed", error: { code: "worker_lost" } },
    });
    reader.leave();
  });
});

describe("limits", () => {
  test("takes questions as JSON only, and no more than eight at a time", async () => {
    const browser = new Visitor(url);
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

  test("the page is served at its addresses", async () => {
    for (const path of ["/", "/c/abc", "/compare", "/cluster"])
      expect(await (await fetch(url + path)).text()).toContain("<title>LLaVA</title>");
  });
});

describe("models", () => {
  test("are sent on every connection, and again when the controller is gone", async () => {
    const reader = await new Visitor(url).listen();
    expect(await reader.received("models")).toMatchObject({
      models: [{ card: { id: "llava-demo" }, state: "ready", numWorkers: 1 }],
      problem: null,
    });
    await stage.close();
    await expect
      .poll(() => reader.events.at(-1))
      .toMatchObject({ type: "models", models: [{ state: "gone" }], problem: { code: "no_worker" } });
    reader.leave();
  });
});

describe("the cluster", () => {
  test("is sent to the pages that watch it, and to no other", async () => {
    const series = { "5m": { end_ms: 1 }, "1h": { end_ms: 1 }, "24h": { end_ms: 1 } };
    stage.cluster = { workers: [], series };
    const visitor = new Visitor(url);
    const readers = [await visitor.listen(), await visitor.listen({ query: "cluster=1" })] as const;
    expect(await readers[1].received("cluster")).toEqual({
      type: "cluster",
      cluster: { workers: [], series },
    });
    // A series that has not grown is not sent again.
    stage.cluster = { workers: [], series: { ...series, "5m": { end_ms: 2 } } };
    await expect
      .poll(() => readers[1].events.at(-1))
      .toEqual({ type: "cluster", cluster: { workers: [], series: { "5m": { end_ms: 2 } } } });
    stage.cluster = null;
    await expect.poll(() => readers[1].events.at(-1)).toEqual({ type: "cluster", cluster: null });
    expect(readers[0].events.some(({ type }) => type === "cluster")).toBe(false);
    for (const reader of readers) reader.leave();
  });
});

describe("an image", () => {
  const bytes = Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), Buffer.from("pixels")]);
  const key = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

  test("is uploaded once, referred to by its hash, and logged under LLaVA's name for it", async () => {
    const place = `${url}/v1/blobs/${key}`;
    expect((await fetch(place, { method: "HEAD" })).status).toBe(404);
    const headers = { "content-type": "image/png" };
    expect((await fetch(place, { method: "PUT", headers, body: bytes })).status).toBe(201);
    expect((await fetch(place, { method: "HEAD" })).status).toBe(200);
    const visitor = new Visitor(url);
    const reader = await visitor.listen();
    await visitor.ask({
      model: "llava-demo",
      messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: key } }] }],
    });
    await reader.received("end");
    reader.leave();
    await expect.poll(async () => (await lines()).length).toBe(1);
    const md5 = createHash("md5").update(bytes).digest("hex");
    expect(await lines()).toMatchObject([{ type: "chat", images: [md5] }]);
    const images = join(folder, "log", "serve_images");
    const [day = ""] = await readdir(images);
    expect(await readFile(join(images, day, `${md5}.png`))).toEqual(bytes);
  });
});

describe("vote", () => {
  const conversation = [
    { role: "user", text: "What is red?", images: ["sha256:00"] },
    { role: "assistant", text: "The circle.", images: [] },
  ];

  test("is logged in LLaVA's format", async () => {
    const browser = new Visitor(url);
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
