import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { LlavaError, REQUEST_ID_HEADER } from "@llava/protocol";
import type { ErrorBody } from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { ControllerStage } from "../../test/support/controller-stage.ts";
import { createApp } from "./web-app.ts";

const QUESTION = JSON.stringify({
  model: "llava-demo",
  stream: true,
  messages: [{ role: "user", content: "Grün?" }],
});
const SENT = { method: "POST", headers: { "content-type": "application/json" }, body: QUESTION } as const;

let pageFolder: string;
let stage: ControllerStage;
let app: FastifyInstance;
let url: string;

beforeAll(async () => {
  pageFolder = await mkdtemp(join(tmpdir(), "llava-web-"));
  await mkdir(join(pageFolder, "assets"));
  await mkdir(join(pageFolder, "samples"));
  await writeFile(join(pageFolder, "index.html"), "<title>LLaVA</title>");
  await writeFile(join(pageFolder, "assets", "index-0.js"), "1;");
  await writeFile(join(pageFolder, "samples", "shapes.png"), "png");
});
afterAll(async () => rm(pageFolder, { recursive: true, force: true }));
beforeEach(async () => {
  stage = await new ControllerStage().open();
  app = await createApp({ controllerUrl: stage.url, pageFolder });
  url = await app.listen({ host: "127.0.0.1", port: 0 });
});
afterEach(async () => {
  await stage.close();
  await app.close();
});

async function errorOf(response: Response): Promise<ErrorBody["error"]> {
  const body = (await response.json()) as ErrorBody;
  return body.error;
}

describe("the page", () => {
  test("has a content policy that allows nothing inline or foreign", async () => {
    const response = await fetch(url);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(await response.text()).toContain("LLaVA");
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).not.toContain("unsafe");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  });

  test("is asked for again each time, while files with a hash in their name are kept", async () => {
    const cacheOf = async (path: string): Promise<string | null> =>
      (await fetch(url + path)).headers.get("cache-control");
    expect(await cacheOf("/")).toBe("no-cache");
    expect(await cacheOf("/samples/shapes.png")).toBe("no-cache");
    expect(await cacheOf("/assets/index-0.js")).toContain("immutable");
  });

  test("an unknown path is an error in a sentence, with the same policy", async () => {
    const response = await fetch(`${url}/samples/../../package.json`);
    expect(response.status).toBe(404);
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(await errorOf(response)).toMatchObject({ code: "not_found" });
  });

  test("a missing build of the page is reported at the start", async () => {
    await expect(createApp({ controllerUrl: stage.url, pageFolder: tmpdir() })).rejects.toThrow(
      "npm run build",
    );
  });
});

describe("questions", () => {
  test("are forwarded to the controller byte for byte, with an id, and so is the answer", async () => {
    const asked = stage.next();
    const answer = fetch(`${url}/v1/chat/completions`, SENT);
    const exchange = await asked;
    exchange.begin().say("Nein, rot.").finish();
    const response = await answer;
    expect(exchange.bytes.toString()).toBe(QUESTION);
    expect(exchange.contentType).toBe("application/json");
    expect(exchange.requestId).toMatch(/^[\w-]{1,64}$/);
    expect(response.headers.get(REQUEST_ID_HEADER)).toBe(exchange.requestId);
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    expect(response.headers.get("x-accel-buffering")).toBe("no");
    expect(await response.text()).toBe(exchange.sent);
  });

  test.each([
    ["order-7", "order-7"],
    ["evil\tid", /^\w{8,}/],
    ["x".repeat(65), /^(?!x{65})\w{8,}/],
  ])("an id of the sender is kept only when it is harmless: %j", async (given, expected) => {
    const asked = stage.next();
    const headers = { ...SENT.headers, [REQUEST_ID_HEADER]: given };
    const answer = fetch(`${url}/v1/chat/completions`, { ...SENT, headers });
    const exchange = await asked;
    expect(exchange.requestId).toMatch(expected);
    exchange.begin().finish();
    await (await answer).text();
  });

  test("a refusal of the controller passes with its status and sentence", async () => {
    const asked = stage.next();
    const answer = fetch(`${url}/v1/chat/completions`, SENT);
    (await asked).refuse(new LlavaError("overloaded", "All 4 places are taken. Try again in a moment."));
    const response = await answer;
    expect(response.status).toBe(429);
    expect(await errorOf(response)).toMatchObject({
      code: "overloaded",
      message: expect.stringContaining("4 places"),
    });
  });

  test("a browser that leaves before the first word is gone at the controller too", async () => {
    const asked = stage.next();
    const leaving = new AbortController();
    const answer = fetch(`${url}/v1/chat/completions`, { ...SENT, signal: leaving.signal });
    const exchange = await asked;
    leaving.abort();
    await expect(answer).rejects.toThrow("aborted");
    await exchange.left;
  });

  test("a browser that leaves in the middle is gone at the controller too", async () => {
    const asked = stage.next();
    const leaving = new AbortController();
    const answer = fetch(`${url}/v1/chat/completions`, { ...SENT, signal: leaving.signal });
    const exchange = await asked;
    exchange.begin().say("The");
    await answer;
    leaving.abort();
    await exchange.left;
  });

  test("a controller that dies between two events: one last event says so", async () => {
    const asked = stage.next();
    const answer = fetch(`${url}/v1/chat/completions`, SENT);
    const exchange = await asked;
    exchange.begin().say("The");
    const response = await answer;
    const reader = readerOf(response);
    await reader.until("The");
    exchange.breakOff();
    expect(await reader.rest()).toMatch(/^data: {"error":.*"code":"worker_lost".*}\n\n$/);
  });

  test("a controller that dies inside an event breaks the connection: no half event looks whole", async () => {
    const asked = stage.next();
    const answer = fetch(`${url}/v1/chat/completions`, SENT);
    const exchange = await asked;
    exchange.begin().write('data: {"cho');
    const response = await answer;
    const reader = readerOf(response);
    await reader.until('{"cho');
    exchange.breakOff();
    await expect(reader.rest()).rejects.toThrow("terminated");
  });

  test("stopping the server ends a running answer with an event that says so", async () => {
    const asked = stage.next();
    const answer = fetch(`${url}/v1/chat/completions`, SENT);
    const exchange = await asked;
    exchange.begin().say("The");
    const response = await answer;
    const reader = readerOf(response);
    await reader.until("The");
    const closing = app.close();
    expect(await reader.rest()).toContain('"code":"shutting_down"');
    await exchange.left;
    await closing;
  });

  test("no controller: 503 and a sentence; when it comes, all is well without a restart", async () => {
    await stage.close();
    const response = await fetch(`${url}/v1/chat/completions`, SENT);
    expect(response.status).toBe(503);
    expect(await errorOf(response)).toMatchObject({
      code: "no_worker",
      message: expect.stringContaining(stage.url),
    });
    expect((await fetch(`${url}/v1/models`)).status).toBe(503);
    await stage.open();
    expect(await (await fetch(`${url}/v1/models`)).json()).toMatchObject({ data: [{ id: "llava-demo" }] });
  });

  test("more than 32 MiB, and what is not JSON, is refused here", async () => {
    const large = await fetch(`${url}/v1/chat/completions`, {
      ...SENT,
      body: "x".repeat(32 * 1024 * 1024 + 1),
    });
    expect(large.status).toBe(413);
    expect(await errorOf(large)).toMatchObject({
      code: "request_too_large",
      message: expect.stringContaining("32 MiB"),
    });
    const form = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      body: new URLSearchParams({ a: "b" }),
    });
    expect(form.status).toBe(415);
    expect(await errorOf(form)).toMatchObject({ code: "unsupported_media_type" });
  });

  test("the server's own health does not depend on the controller", async () => {
    await stage.close();
    expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: "ok" });
  });
});

/** Reads a body piece by piece. */
function readerOf(response: Response): { until(text: string): Promise<void>; rest(): Promise<string> } {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const read = async (): Promise<string | undefined> => (await reader?.read())?.value;
  return {
    async until(text) {
      let seen = "";
      while (!seen.includes(text)) {
        const more = await read();
        if (more === undefined) throw new Error(`The answer ended without "${text}": ${seen}`);
        seen += more;
      }
    },
    async rest() {
      let seen = "";
      for (let more = await read(); more !== undefined; more = await read()) seen += more;
      return seen;
    },
  };
}
