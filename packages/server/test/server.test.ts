/** What stands before every route, over real sockets: each refusal by its status, and the next request is served. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openApiKeys } from "../src/auth/api-keys.ts";
import { createServer, newApiKey, signedHeaders, type Access, type ServerOptions } from "../src/index.ts";
import { ask, startServer, statusOf, talk } from "@llava/testing/raw-http";

const TOKEN = "a token of enough length";
const JSON_TYPE = { "content-type": "application/json" };
const user = newApiKey("anna");
const admin = newApiKey("ben", ["admin"]);
const gateway = newApiKey("page", ["unlimited"]);

let folder: string;
let access: Access;
let app: FastifyInstance;
let url: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "llava-server-"));
  const file = join(folder, "keys.txt");
  await writeFile(file, [user, admin, gateway].map(({ line }) => line).join("\n"));
  access = { keys: openApiKeys(file), token: TOKEN, anonymous: "none" };
});
afterAll(async () => rm(folder, { recursive: true }));
afterEach(async () => {
  // Whatever was done to it, it still serves.
  expect((await ask(`${url}/open`, { method: "GET" })).status).toBe(200);
  await app.close();
});

async function start(options: Partial<ServerOptions> = {}): Promise<void> {
  ({ app, url } = await startServer(options));
}

function bearer(secret: string): Record<string, string> {
  return { authorization: `Bearer ${secret}` };
}

describe("roles", () => {
  test("each principal gets what its role allows and nothing else", async () => {
    await start({ access });
    const callers: Record<string, (path: string) => Record<string, string>> = {
      anonymous: () => ({}),
      user: () => bearer(user.secret),
      admin: () => bearer(admin.secret),
      basic: () => ({ authorization: `Basic ${btoa(`anybody:${user.secret}`)}` }),
      peer: (path) => signedHeaders(TOKEN, "POST", path, "{}"),
    };
    const seen: Record<string, number[]> = {};
    for (const [name, headers] of Object.entries(callers)) {
      seen[name] = [];
      for (const path of ["/user", "/admin", "/cluster"]) {
        seen[name].push((await ask(url + path, { headers: headers(path) })).status);
      }
    }
    expect(seen).toEqual({
      anonymous: [401, 401, 401],
      user: [200, 403, 401],
      admin: [200, 200, 401],
      basic: [200, 403, 401],
      peer: [200, 200, 200],
    });
  });

  test("without keys and token clients of this machine may do all, those behind a proxy nothing", async () => {
    await start();
    for (const [path, forwarded] of [
      ["/user", 401],
      ["/admin", 401],
      ["/cluster", 403],
    ] as const) {
      expect((await ask(url + path)).status).toBe(200);
      expect((await ask(url + path, { headers: { "x-forwarded-for": "203.0.113.9" } })).status).toBe(
        forwarded,
      );
    }
    expect((await ask(`${url}/user`, { headers: bearer("any client sends one") })).status).toBe(200);
  });

  test("anonymous access opens the user's routes only", async () => {
    await start({ access: { keys: null, token: null, anonymous: "all" } });
    const headers = { "x-forwarded-for": "203.0.113.9" };
    const seen = ["/user", "/admin", "/cluster"].map(
      async (path) => (await ask(url + path, { headers })).status,
    );
    expect(await Promise.all(seen)).toEqual([200, 401, 403]);
  });

  test("a wrong key is refused in OpenAI's shape, also where none is needed, and before the body is read", async () => {
    await start({ access });
    const answer = await ask(`${url}/user`, { headers: bearer("llava-guessed") });
    expect(answer.body).toEqual({
      error: {
        message: expect.stringContaining("not known"),
        type: "authentication_error",
        code: "unauthorized",
        param: null,
      },
    });
    expect(answer.headers.get("www-authenticate")).toContain("Bearer");
    expect((await ask(`${url}/open`, { method: "GET", headers: bearer("x") })).status).toBe(401);
    // A body is announced and never sent; only a server that does not wait for it can answer.
    const head =
      "POST /user HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    const early = await talk(url, [`${head}content-length: 60000\r\n\r\n`]);
    expect(statusOf(early)).toBe(401);
  });

  test("a server with a route that has no role does not start", async () => {
    await start();
    const other = createServer({ bodies: "json", seeAlso: "" });
    other.get("/forgotten", async () => null);
    await expect(other.listen({ host: "127.0.0.1", port: 0 })).rejects.toThrow("GET /forgotten");
    await other.close();
  });
});

describe("signatures", () => {
  test("replayed, old, of another path or of another body: 401, also where no signature is needed", async () => {
    await start({ access });
    const headers = signedHeaders(TOKEN, "POST", "/cluster", "{}");
    expect((await ask(`${url}/cluster`, { headers })).status).toBe(200);
    const replay = await ask(`${url}/cluster`, { headers });
    expect(replay).toMatchObject({
      status: 401,
      body: { error: { message: expect.stringContaining("used before") } },
    });
    const fresh = (): Record<string, string> => signedHeaders(TOKEN, "POST", "/cluster", "{}");
    expect((await ask(`${url}/user`, { headers: fresh() })).status).toBe(401);
    expect((await ask(`${url}/cluster`, { headers: fresh(), body: "[]" })).status).toBe(401);
    expect((await ask(`${url}/cluster`, { headers: fresh(), body: "" })).status).toBe(401);
    expect((await ask(`${url}/cluster`, { headers: { ...fresh(), "x-llava-date": "never" } })).status).toBe(
      401,
    );
    const other = signedHeaders("another token of ours", "POST", "/cluster", "{}");
    expect((await ask(`${url}/cluster`, { headers: other })).status).toBe(401);
    expect((await ask(`${url}/cluster`, { headers: fresh() })).status).toBe(200);
  });

  test("a large body is bound by its length", async () => {
    await start({ access, bodyLimit: 1 << 20 });
    const body = JSON.stringify({ text: "x".repeat(100_000) });
    const headers = signedHeaders(TOKEN, "POST", "/cluster", body);
    expect((await ask(`${url}/cluster`, { headers, body: `${body} ` })).status).toBe(401);
    const again = signedHeaders(TOKEN, "POST", "/cluster", body);
    expect((await ask(`${url}/cluster`, { headers: again, body })).status).toBe(200);
  });

  test("a body sent in chunks is checked too", async () => {
    await start({ access });
    const send = async (sent: string): Promise<number> => {
      const headers = signedHeaders(TOKEN, "POST", "/cluster", "{}");
      const lines = Object.entries({ ...headers, ...JSON_TYPE }).map(
        ([name, value]) => `${name}: ${value}\r\n`,
      );
      const head = `POST /cluster HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n`;
      return statusOf(await talk(url, [`${head}${lines.join("")}\r\n2\r\n${sent}\r\n0\r\n\r\n`]));
    };
    expect(await send("[]")).toBe(401);
    expect(await send("{}")).toBe(200);
  });
});

describe("foreign pages", () => {
  const asPage = (host: string, origin: string): string =>
    `POST /user HTTP/1.1\r\nhost: ${host}\r\norigin: ${origin}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`;

  test("a foreign host name, as after DNS rebinding: 403, on every route", async () => {
    await start({ hosts: ["chat.example"] });
    for (const path of ["/open", "/user", "/nowhere"]) {
      const answer = await talk(url, [
        `GET ${path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n`,
      ]);
      expect(statusOf(answer)).toBe(403);
      expect(answer).toContain("--allowed-host");
    }
    const own = await talk(url, ["GET /user HTTP/1.1\r\nhost: chat.example\r\nconnection: close\r\n\r\n"]);
    expect(statusOf(own)).toBe(200);
  });

  test("a page of another site cannot send requests that change something, the server's own page can", async () => {
    await start({ hosts: ["chat.example"] });
    const { host } = new URL(url);
    for (const origin of ["https://evil.example", "null", "http://127.0.0.1:1"]) {
      expect(statusOf(await talk(url, [asPage(host, origin)]))).toBe(403);
    }
    for (const origin of [url, "https://chat.example"]) {
      expect(statusOf(await talk(url, [asPage(host, origin)]))).toBe(200);
    }
  });

  test("a key allows any host name; a password that the browser sends by itself does not", async () => {
    await start({ access });
    const head =
      "POST /user HTTP/1.1\r\nhost: gateway.internal\r\nconnection: close\r\ncontent-length: 0\r\n";
    expect(statusOf(await talk(url, [`${head}authorization: Bearer ${user.secret}\r\n\r\n`]))).toBe(200);
    expect(
      statusOf(await talk(url, [`${head}authorization: Basic ${btoa(`x:${user.secret}`)}\r\n\r\n`])),
    ).toBe(403);
  });
});

test("rate limit: 429 after the burst with both retry headers; a gateway and peers are not counted", async () => {
  await start({ access, clients: { requestsPerMinute: 6, burst: 2 } });
  const post = (secret: string): Promise<{ status: number; headers: Headers; code: string | undefined }> =>
    ask(`${url}/user`, { headers: bearer(secret) });
  const taken = [await post(user.secret), await post(user.secret)];
  expect(taken).toMatchObject([{ status: 200 }, { status: 200 }]);
  const left = ({ headers }: { readonly headers: Headers }): readonly (string | null)[] =>
    ["limit", "remaining"].map((name) => headers.get(`x-ratelimit-${name}-requests`));
  expect(taken.map(left)).toEqual([
    ["2", "1"],
    ["2", "0"],
  ]);
  expect(taken[0]?.headers.get("x-ratelimit-reset-requests")).toMatch(/^10(\.\d+)?s$/);
  const refused = await post(user.secret);
  expect(refused).toMatchObject({ status: 429, code: "rate_limited" });
  const waitMs = Number(refused.headers.get("retry-after-ms"));
  expect(waitMs).toBeGreaterThan(0);
  expect(waitMs).toBeLessThanOrEqual(10_000);
  expect(refused.headers.get("retry-after")).toBe(String(Math.ceil(waitMs / 1000)));
  expect(left(refused)).toEqual(["2", "0"]);
  expect(left(await post(gateway.secret))).toEqual([null, null]);
  expect(left(await ask(`${url}/stream`, { headers: bearer(admin.secret) }))).toEqual(["2", "1"]);
  expect((await post(admin.secret)).status).toBe(200);
  for (let turn = 0; turn < 4; turn++) {
    expect((await post(gateway.secret)).status).toBe(200);
    const headers = signedHeaders(TOKEN, "POST", "/user", "{}");
    expect((await ask(`${url}/user`, { headers })).status).toBe(200);
  }
  expect((await ask(`${url}/user`, { method: "GET", headers: bearer(user.secret) })).status).toBe(200);
});
