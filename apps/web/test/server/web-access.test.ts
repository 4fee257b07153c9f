/**
 * Tests which clients may use the web server, and that it authenticates to the controller without the browser's
 * knowledge.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { createServer, newApiKey, parseKeyFile } from "@llava/server";
import type { Access, ServerOptions } from "@llava/server";
import type { FastifyInstance } from "fastify";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { askAll, strictAccess, wrongCells } from "@llava/testing/role-matrix";
import { createApp } from "../../src/server/web-app.ts";

const page = newApiKey("page", ["unlimited"]);
const QUESTION = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" } as const;

let pageFolder: string;
let controller: FastifyInstance;
let controllerUrl: string;
/** The Authorization header of each request that the controller has accepted. */
let proofs: (string | undefined)[];
let web: FastifyInstance;
let url: string;

beforeAll(async () => {
  pageFolder = await mkdtemp(join(tmpdir(), "llava-web-"));
  await writeFile(join(pageFolder, "index.html"), "<title>LLaVA</title>");
});
afterAll(async () => rm(pageFolder, { recursive: true, force: true }));
beforeEach(async () => {
  proofs = [];
  const keys = parseKeyFile(page.line, "keys.txt");
  const access: Access = {
    keys: {
      find: (secret) => (secret === page.secret ? (keys[0] ?? null) : null),
      reload: () => 1,
      isReadableByOthers: false,
    },
    token: null,
    anonymous: "none",
  };
  controller = createServer({ bodies: "bytes", seeAlso: "", access });
  const config = { role: "user" } as const;
  controller.post("/v1/chat/completions", { config }, async ({ headers }) => {
    proofs.push(headers.authorization);
    return { answer: "red" };
  });
  controller.get("/v1/models", { config }, async () => ({ object: "list", data: [] }));
  controllerUrl = await controller.listen({ host: "127.0.0.1", port: 0 });
});
afterEach(async () => {
  expect((await fetch(`${url}/health`)).status).toBe(200);
  await web.close();
  await controller.close();
});

async function start(server: Partial<ServerOptions>, controllerKey?: string): Promise<void> {
  const key = controllerKey === undefined ? {} : { controllerKey };
  web = await createApp({ controllerUrl, pageFolder, server, ...key });
  url = await web.listen({ host: "127.0.0.1", port: 0 });
}

/** Sends the two headers as they are, which `fetch` would not. */
function statusWith(headers: { readonly host?: string; readonly origin?: string }): Promise<number> {
  return new Promise((resolve, reject) => {
    const type = { "content-type": "application/json" };
    const asked = request(
      `${url}/v1/chat/completions`,
      { method: "POST", headers: { ...type, ...headers } },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    asked.once("error", reject).end("{}");
  });
}

test("authenticates to the controller; the browser never sees the key and cannot use it", async () => {
  await start({}, page.secret);
  const headers = { ...QUESTION.headers, authorization: "Bearer the-browsers-own" };
  for (const sent of [QUESTION, { ...QUESTION, headers }]) {
    const response = await fetch(`${url}/v1/chat/completions`, sent);
    expect(response.status).toBe(200);
    expect(JSON.stringify([...response.headers]) + (await response.text())).not.toContain(page.secret);
  }
  expect(proofs).toEqual([`Bearer ${page.secret}`, `Bearer ${page.secret}`]);
  expect(await (await fetch(url)).text()).not.toContain(page.secret);
});

test("as a process takes its key from a file or the environment, not from an argument", async () => {
  await start({});
  const keyFile = join(pageFolder, "key.txt");
  await writeFile(keyFile, `${page.secret}\n`);
  const main = fileURLToPath(new URL("../../src/server/main.ts", import.meta.url));
  const flags = ["--port", "0", "--controller-url", controllerUrl, "--page-folder", pageFolder];
  const ways = [
    { more: ["--controller-key-file", keyFile], env: {} },
    { more: [], env: { LLAVA_API_KEY: page.secret } },
  ];
  for (const { more, env } of ways) {
    const child = fork(main, [...flags, ...more], { env: { ...process.env, ...env } });
    const ended = once(child, "exit");
    const message: unknown = (await Promise.race([once(child, "message"), ended]))[0];
    expect(message).toMatchObject({ type: "ready" });
    const address =
      typeof message === "object" && message !== null && "address" in message ? message.address : "";
    expect((await fetch(`${String(address)}/v1/chat/completions`, QUESTION)).status).toBe(200);
    child.kill("SIGTERM");
    await ended;
  }
  expect(proofs).toEqual([`Bearer ${page.secret}`, `Bearer ${page.secret}`]);
});

test("without the controller's key its refusal comes through", async () => {
  await start({});
  const response = await fetch(`${url}/v1/chat/completions`, QUESTION);
  expect(response.status).toBe(401);
  expect(await response.json()).toMatchObject({ error: { type: "authentication_error" } });
});

test("pages of other sites, and other names for this one, are refused; the page itself is served", async () => {
  await start({ hosts: ["chat.example"] }, page.secret);
  const { host } = new URL(url);
  expect(await statusWith({ origin: "https://evil.example" })).toBe(403);
  expect(await statusWith({ origin: "null" })).toBe(403);
  expect(await statusWith({ host: "evil.example", origin: "http://evil.example" })).toBe(403);
  expect(proofs).toEqual([]);
  expect(await statusWith({ origin: url })).toBe(200);
  expect(await statusWith({ host: "chat.example", origin: "https://chat.example" })).toBe(200);
  expect(await statusWith({ host })).toBe(200);
});

test("with API keys a browser is asked for one; every route checks its role", async () => {
  await start({ access: strictAccess(false) }, page.secret);
  const refused = await fetch(`${url}/v1/models`);
  expect(refused.headers.get("www-authenticate")).toMatch(/^Basic /);
  expect((await fetch(url)).status).toBe(200);
  const cells = await askAll(web, url, false);
  expect(wrongCells(cells)).toEqual([]);
  const roles = Object.fromEntries(cells.map(({ route, role }) => [route, role]));
  expect(roles).toMatchObject({
    "POST /v1/chat/completions": "user",
    "GET /*": "public",
    "GET /health": "public",
  });
});
