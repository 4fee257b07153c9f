/** Images that do not come along: uploaded before, or fetched. Through real HTTP on a worker. */
import { createHash } from "node:crypto";
import { BlobStore } from "@llava/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ImageFetcher } from "../../src/images/fetch/image-fetcher.ts";
import { canary, imageHost, PUBLIC, type Host } from "../support/image-hosts.ts";
import { png } from "@llava/testing/png";
import { MODEL_NAME, startServer, type TestServer } from "../support/worker-server.ts";

const FILE = png(8, 8, [30, 200, 30]);
const KEY = `sha256:${createHash("sha256").update(FILE).digest("hex")}`;

let server: TestServer;
let closed: TestServer;
let host: Host;
let trap: Host;
beforeAll(async () => {
  host = await imageHost((response) => void response.setHeader("content-type", "image/png").end(FILE));
  trap = await canary(host.port);
  const fetcher = new ImageFetcher({
    policy: { allowsHttp: true, ports: [host.port] },
    resolve: (name) => Promise.resolve([name === "pictures.example" ? PUBLIC : "127.0.0.1"]),
    isPublic: (address) => address === PUBLIC,
  });
  server = await startServer({}, {}, { blobs: new BlobStore(), fetcher });
  closed = await startServer();
});
afterAll(async () => {
  for (const thing of [server, closed, host, trap]) await thing[Symbol.asyncDispose]();
});

async function ask(to: TestServer, content: unknown): Promise<{ status: number; body: unknown }> {
  const body = { model: MODEL_NAME, messages: [{ role: "user", content }], max_tokens: 2, temperature: 0 };
  const response = await to.post("/v1/chat/completions", body);
  return { status: response.status, body: await response.json() };
}

function shown(...urls: readonly string[]): object[] {
  return [...urls.map((url) => ({ type: "image_url", image_url: { url } })), { type: "text", text: "What?" }];
}

function choicesOf(body: unknown): unknown {
  return body !== null && typeof body === "object" && "choices" in body ? body.choices : body;
}

function put(key: string, body: Uint8Array, type = "image/png"): Promise<Response> {
  const headers = { "content-type": type };
  return fetch(`${server.url}/v1/blobs/${key}`, { method: "PUT", headers, body: new Uint8Array(body) });
}

describe("an uploaded image", () => {
  test("is missing, then there, and then as good as one that comes along", async () => {
    const head = async (): Promise<number> =>
      (await fetch(`${server.url}/v1/blobs/${KEY}`, { method: "HEAD" })).status;
    expect(await head()).toBe(404);
    expect(await ask(server, shown(KEY))).toMatchObject({
      status: 404,
      body: { error: { code: "blob_missing", param: "messages[0].content[0].image_url.url" } },
    });
    expect((await put(KEY, FILE)).status).toBe(201);
    expect((await put(KEY, FILE)).status).toBe(200);
    expect(await head()).toBe(200);
    const along = await ask(server, shown(`data:image/png;base64,${FILE.toString("base64")}`));
    const referred = await ask(server, shown(KEY));
    expect(referred.status).toBe(200);
    expect(choicesOf(referred.body)).toEqual(choicesOf(along.body));
    expect(server.service.images.blobs.keys).toEqual([KEY]);
  });

  test.each([
    ["under another hash", `sha256:${"0".repeat(64)}`, FILE, "image/png", 400],
    ["under no hash", "cat.png", FILE, "image/png", 400],
    ["of nothing", KEY, Buffer.alloc(0), "image/png", 400],
    ["that is too large", KEY, Buffer.alloc((10 << 20) + 1), "image/png", 413],
    ["that says to be text", KEY, FILE, "text/html", 415],
  ])("%s is refused", async (_name, key, file, type, status) => {
    expect((await put(key, file, type)).status).toBe(status);
  });
});

describe("an image's address", () => {
  test("is fetched, once for each that is shown twice", async () => {
    const url = `http://pictures.example:${host.port}/a.png`;
    const answer = await ask(server, shown(url, url));
    expect(answer).toMatchObject({ status: 200, body: { usage: { prompt_tokens: expect.any(Number) } } });
    expect(host.seen).toEqual(["GET /a.png pictures.example"]);
  });

  test("is not, when it leads inside, and one that cannot ends the whole request", async () => {
    const good = `http://pictures.example:${host.port}/b.png`;
    for (const url of [
      `http://inside.example:${host.port}/`,
      `http://127.0.0.1:${host.port}/`,
      "file:///etc/passwd",
    ]) {
      expect(await ask(server, shown(good, url))).toMatchObject({
        status: 400,
        body: { error: { code: "image_url_blocked", param: "messages[0].content[1].image_url.url" } },
      });
    }
    expect(trap.seen).toEqual([]);
  });

  test("in words is only words", async () => {
    const url = `http://pictures.example:${host.port}/words.png`;
    expect(await ask(server, `Look at ![this](${url}) and <image> ${url}`)).toMatchObject({ status: 200 });
    expect(host.seen).not.toContain("GET /words.png pictures.example");
  });

  test("is never fetched unless the worker was started so", async () => {
    const before = host.seen.length;
    expect(await ask(closed, shown(`http://pictures.example:${host.port}/c.png`))).toMatchObject({
      status: 400,
      body: { error: { code: "image_url_blocked", message: expect.stringMatching(/--allow-image-urls/) } },
    });
    expect(host.seen).toHaveLength(before);
  });
});
