/**
 * Tests the answers that the web server keeps: under broken connections, slow readers, other browsers and the
 * server's own end.
 */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as fc from "fast-check";
import type { FastifyInstance } from "fastify";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { createApp } from "../../src/server/web-app.ts";
import { BreakingProxy } from "../support/breaking-proxy.ts";
import { ControllerStage } from "../support/controller-stage.ts";
import { JSON_TYPE, QUESTION, Visitor } from "../support/visitor.ts";
import type { EventReader } from "../support/visitor.ts";

/** The machine may be busy. */

let folder: string;
let stage: ControllerStage;
let app: FastifyInstance;
let url: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "llava-web-"));
  await writeFile(join(folder, "index.html"), "<title>LLaVA</title>");
  stage = await new ControllerStage().open();
  await open();
});
afterEach(async () => {
  vi.useRealTimers();
  await app.close();
  await stage.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(): Promise<void> {
  app = await createApp({ controllerUrl: stage.url, pageFolder: folder });
  url = await app.listen({ host: "127.0.0.1", port: 0 });
}

/** The state that a page keeps of answers while its connections come and go. */
class Memory {
  readonly #texts: Map<string, string>;
  readonly #ended = new Set<string>();
  #lastId = "";

  constructor(streams: readonly string[]) {
    this.#texts = new Map(streams.map((stream) => [stream, ""]));
  }

  get texts(): readonly string[] {
    return [...this.#texts.values()];
  }

  get isComplete(): boolean {
    return this.#ended.size === this.#texts.size;
  }

  hasEnd(stream: string): boolean {
    return this.#ended.has(stream);
  }

  /** Undefined before the first event. */
  get after(): string | undefined {
    return this.#lastId === "" ? undefined : this.#lastId;
  }

  take(reader: EventReader): void {
    for (const [stream, text] of this.#texts) {
      this.#texts.set(stream, reader.textOf(stream, text));
      if (reader.hasEnd(stream)) this.#ended.add(stream);
    }
    this.#lastId = reader.lastId || this.#lastId;
  }
}

describe("stream of events: broken connections", () => {
  const words = fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 40 }), { maxLength: 30 });
  // A response head has about 1,400 bytes, an event about 100.
  const cuts = fc.array(fc.integer({ min: 1, max: 4_000 }), { minLength: 1, maxLength: 12 });

  test("connections that break anywhere, any number of times, lose no character of an answer", async () => {
    await using proxy = await new BreakingProxy(url).open();
    const property = fc.asyncProperty(words, words, cuts, async (one, two, cutAfter) => {
      const answers = [one, two];
      const visitor = new Visitor(url);
      await (await visitor.send("DELETE", "/api/streams/none")).text();
      const streams: string[] = [];
      const sending: Promise<void>[] = [];
      for (const pieces of answers) {
        const next = stage.next();
        streams.push(await visitor.ask());
        const exchange = (await next).begin();
        sending.push(
          (async () => {
            for (const piece of pieces) {
              exchange.say(piece);
              await new Promise((resolve) => setTimeout(resolve, 1));
            }
            exchange.finish();
          })(),
        );
      }
      const memory = new Memory(streams);
      for (const bytes of cutAfter) {
        proxy.next = bytes;
        const after = memory.after;
        const reader = await visitor
          .listen({ url: proxy.url, ...(after === undefined ? {} : { after }) })
          .catch(() => null);
        if (reader === null) continue;
        await Promise.race([reader.done, new Promise((resolve) => setTimeout(resolve, 30))]);
        reader.leave();
        await reader.done;
        memory.take(reader);
      }
      await Promise.all(sending);
      proxy.next = Infinity;
      if (!memory.isComplete) {
        const after = memory.after;
        const last = await visitor.listen({ url: proxy.url, ...(after === undefined ? {} : { after }) });
        await expect
          .poll(() => streams.every((stream) => memory.hasEnd(stream) || last.hasEnd(stream)))
          .toBe(true);
        last.leave();
        await last.done;
        memory.take(last);
      }
      expect(memory.texts).toEqual(answers.map((pieces) => pieces.join("")));
    });
    await fc.assert(property, { numRuns: 25 });
  });
});

describe("stream of events: a slow reader", () => {
  test("is disconnected, delays no other, and gets everything when it connects again", async () => {
    const visitor = new Visitor(url);
    const reader = await visitor.listen();
    const slow = connect(Number(new URL(url).port), "127.0.0.1");
    slow.write(`GET /api/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncookie: ${visitor.cookie}\r\n\r\n`);
    await once(slow, "readable");
    const whole = "word ".repeat(180_000);
    const streams: string[] = [];
    for (let i = 0; i < 30; i++) {
      const next = stage.next();
      const stream = await visitor.ask();
      const exchange = (await next).begin();
      for (let at = 0; at < whole.length; at += 60_000) exchange.say(whole.slice(at, at + 60_000));
      exchange.finish();
      streams.push(stream);
      await expect.poll(() => reader.hasEnd(stream)).toBe(true);
      expect(reader.textOf(stream)).toBe(whole);
    }
    const cut = once(slow, "close");
    slow.on("error", () => undefined);
    let numBytes = 0;
    slow.on("data", (bytes) => (numBytes += bytes.length));
    await cut;
    expect(numBytes).toBeLessThan((whole.length * streams.length * 9) / 10);
    const again = await visitor.listen({ after: "00000000-1" });
    const last = streams.at(-1) ?? "";
    await expect.poll(() => again.hasEnd(last)).toBe(true);
    for (const stream of streams) expect(again.textOf(stream)).toBe(whole);
    for (const one of [reader, again]) one.leave();
  });
});

describe("other origins and other browsers", () => {
  const ORIGINS = [
    "null",
    "https://evil.example",
    "http://localhost.evil",
    "http://127.0.0.1.nip.io",
    "http://127.0.0.1:1",
    "http://localhost:1",
  ];

  test.each(ORIGINS)("a page of %s can change nothing and reads no answer", async (origin) => {
    const visitor = new Visitor(url);
    const reader = await visitor.listen();
    const next = stage.next();
    const stream = await visitor.ask();
    (await next).begin();
    const headers = { ...JSON_TYPE, origin, cookie: visitor.cookie };
    const tries = [
      { method: "POST", path: "/api/chat", body: JSON.stringify(QUESTION) },
      { method: "POST", path: "/api/votes", body: "{}" },
      { method: "DELETE", path: `/api/streams/${stream}`, body: null },
      { method: "PUT", path: `/v1/blobs/sha256:${"0".repeat(64)}`, body: "x" },
      { method: "POST", path: "/v1/chat/completions", body: JSON.stringify(QUESTION) },
    ];
    for (const { path, ...init } of tries) {
      const response = await fetch(url + path, { ...init, headers });
      expect(response.status, path).toBe(403);
      expect([...response.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
    expect(reader.hasEnd(stream)).toBe(false);
    reader.leave();
  });

  test("forms of other pages are no questions, whatever they call themselves", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
      for (const path of ["/api/chat", "/api/votes"]) {
        const init = { method: "POST", headers: { "content-type": type }, body: JSON.stringify(QUESTION) };
        expect((await fetch(url + path, init)).status, `${path} as ${type}`).toBe(415);
      }
  });

  test("a request with another host name is refused", async () => {
    const asked = request(`${url}/api/events`, { headers: { host: "evil.example" } }).end();
    const [response] = (await once(asked, "response")) as [{ readonly statusCode: number; destroy(): void }];
    expect(response.statusCode).toBe(403);
    response.destroy();
  });

  test("a cookie that is none is replaced, and nobody else's answer is found with it", async () => {
    const visitor = new Visitor(url);
    const stream = await visitor.ask();
    for (const cookie of ["llava_session=../../etc", `llava_session=${"0".repeat(33)}`, "other=1"]) {
      const other = new Visitor(url);
      other.cookie = cookie;
      const reader = await other.listen();
      expect(other.cookie).toMatch(/^llava_session=[0-9a-f]{32}$/);
      expect(await reader.received("hello")).toEqual({ type: "hello", streams: [] });
      reader.leave();
    }
    const own = await visitor.listen();
    expect(await own.received("hello")).toEqual({ type: "hello", streams: [stream] });
    own.leave();
  });
});

describe("limits", () => {
  test("the answers of the least recent browsers make room, running ones never", async () => {
    const [done, busy] = [new Visitor(url), new Visitor(url)];
    const asked = await done.ask();
    const first = await done.listen();
    await expect.poll(() => first.hasEnd(asked)).toBe(true);
    first.leave();
    await first.done;
    const next = stage.next();
    const stream = await busy.ask();
    (await next).begin();
    for (let i = 0; i < 70; i++)
      await Promise.all(
        Array.from({ length: 15 }, async () => {
          const reader = await new Visitor(url).listen();
          reader.leave();
          await reader.done;
        }),
      );
    const readers = [await done.listen(), await busy.listen()] as const;
    expect(await readers[0].received("hello")).toEqual({ type: "hello", streams: [] });
    expect(await readers[1].received("hello")).toEqual({ type: "hello", streams: [stream] });
    for (const reader of readers) reader.leave();
  });

  test("an answer without a connected browser is stopped after ten minutes", async () => {
    // The HTTP client's timeouts keep to the real clock.
    await reopenInFakeTime("setInterval", "clearInterval", "performance");
    const visitor = new Visitor(url);
    const next = stage.next();
    const stream = await visitor.ask();
    const exchange = (await next).begin().say("On and on");
    vi.advanceTimersByTime(9 * 60_000);
    const reader = await visitor.listen();
    await reader.received("snapshot");
    vi.advanceTimersByTime(15 * 60_000);
    expect(reader.hasEnd(stream)).toBe(false);
    reader.leave();
    await reader.done;
    let isLeft = false;
    void exchange.left.then(() => (isLeft = true));
    // The server notices the closed connection a moment later.
    await expect
      .poll(() => {
        vi.advanceTimersByTime(60_000);
        return isLeft;
      })
      .toBe(true);
    const after = await visitor.listen();
    expect(await after.received("snapshot")).toMatchObject({ text: "On and on", end: { kind: "stopped" } });
    after.leave();
  });

  test("an answer that is not ready after half an hour fails", async () => {
    await reopenInFakeTime("setTimeout", "clearTimeout", "performance");
    const visitor = new Visitor(url);
    const reader = await visitor.listen();
    const next = stage.next();
    await visitor.ask();
    const exchange = (await next).begin().say("On and on");
    await reader.received("delta");
    vi.advanceTimersByTime(30 * 60_000 + 1);
    await exchange.left;
    expect(await reader.received("end")).toMatchObject({
      end: { kind: "failed", error: { code: "timeout" } },
    });
    reader.leave();
  });

  type Faked = "setTimeout" | "clearTimeout" | "setInterval" | "clearInterval" | "performance";

  async function reopenInFakeTime(...toFake: Faked[]): Promise<void> {
    await app.close();
    vi.useFakeTimers({ toFake });
    await open();
  }
});

test("a server that stops says so in every answer before it ends the connections", async () => {
  const visitor = new Visitor(url);
  const readers = [await visitor.listen(), await visitor.listen()];
  const exchanges = [];
  for (let i = 0; i < 3; i++) {
    const next = stage.next();
    await visitor.ask();
    exchanges.push((await next).begin().say("Not yet"));
  }
  await app.close();
  for (const reader of readers) {
    await reader.done;
    const ends = reader.events.filter(({ type }) => type === "end");
    expect(ends).toHaveLength(3);
    for (const end of ends)
      expect(end).toMatchObject({
        end: { kind: "failed", error: { code: "shutting_down", retryable: true } },
      });
  }
  for (const { left } of exchanges) await left;
});
