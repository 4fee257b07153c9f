/** Requests that are too large, too slow, too many or no requests at all: refused by status, and the next one is served. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import type { FastifyInstance } from "fastify";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createServer, type ServerOptions } from "../src/index.ts";
import { ask, startServer, statusOf, talk } from "@llava/testing/raw-http";

let app: FastifyInstance;
let url: string;

afterEach(async () => {
  // Whatever was done to it, it still serves.
  expect((await ask(`${url}/open`, { method: "GET" })).status).toBe(200);
  await app.close();
});

async function start(options: Partial<ServerOptions> = {}): Promise<void> {
  ({ app, url } = await startServer(options));
}

describe("heads", () => {
  test("too large, too many headers, too long an address: 431", async () => {
    await start();
    const head = "GET /open HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    const many = Array.from({ length: 120 }, (_, index) => `x-${index}: 1\r\n`).join("");
    for (const request of [`${head}x: ${"a".repeat(20_000)}\r\n\r\n`, `${head}${many}\r\n`]) {
      const answer = await talk(url, [request]);
      expect(statusOf(answer)).toBe(431);
      expect(answer).toContain('"code":"headers_too_large"');
    }
    expect(statusOf(await talk(url, [head.replace("/open", `/open?${"a".repeat(9_000)}`) + "\r\n"]))).toBe(
      431,
    );
  });

  test("a flood of headers without an end is cut off", async () => {
    await start();
    const flood = function* (): Generator<string> {
      yield "GET /open HTTP/1.1\r\nhost: localhost\r\n";
      for (let index = 0; index < 2_000; index++) yield `x-${index}: ${"a".repeat(1_000)}\r\n`;
    };
    expect(await talk(url, flood())).toMatch(/^(HTTP\/1\.1 431 |$)/);
  });

  test("what is no HTTP, and lengths that contradict each other: 400", async () => {
    await start();
    const smuggled =
      "POST /user HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    for (const bytes of ["\x16\x03\x01 hello\r\n\r\n", "GET\r\n\r\n", smuggled]) {
      const answer = await talk(url, [bytes]);
      expect(statusOf(answer)).toBe(400);
      expect(answer).toContain('"code":"invalid_request"');
    }
  });

  test("one byte at a time, or none at all: 408 when the time is over", async () => {
    await start({ timeouts: { headersMs: 300 } });
    const drip = "GET /open HTTP/1.1\r\nhost: localhost\r\nx: ".padEnd(1_000, "a");
    for (const answer of await Promise.all([talk(url, drip, 20), talk(url, [])])) {
      expect(statusOf(answer)).toBe(408);
      expect(answer).toContain('"code":"timeout"');
    }
  });
});

describe("bodies", () => {
  const head = (more: string): string =>
    `POST /user HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${more}\r\n\r\n`;

  test("one byte at a time, with and without a length: 408 when the time is over", async () => {
    await start({ timeouts: { body: { timeoutMs: 300, bytesPerSecond: 1e9 } } });
    const drip = function* (first: string, piece: string): Generator<string> {
      yield first;
      for (let index = 0; index < 200; index++) yield piece;
    };
    const answers = await Promise.all([
      talk(url, drip(head("content-length: 1000"), " "), 20),
      talk(url, drip(head("transfer-encoding: chunked"), "1\r\n \r\n"), 20),
      talk(url, [head("content-length: 1000")]),
    ]);
    for (const answer of answers) {
      expect(statusOf(answer)).toBe(408);
      expect(answer).toContain('"code":"timeout"');
    }
  });

  test("one byte at a time to a route that does not read it: the connection does not stay open", async () => {
    await start({ timeouts: { body: { timeoutMs: 300, bytesPerSecond: 1e9 } } });
    const drip = function* (first: string): Generator<string> {
      yield first;
      for (let index = 0; index < 400; index++) yield " ";
    };
    const post = head("content-length: 60000");
    const [refused, unread] = await Promise.all([
      talk(url, drip(post.replace("host: localhost", "host: evil.example")), 20),
      talk(url, drip(post.replace("POST /user", "GET /open")), 20),
    ]);
    expect(statusOf(refused)).toBe(403);
    expect(statusOf(unread)).toBe(200);
  });

  test("a client that leaves in the middle leaves nothing behind", async () => {
    await start({ timeouts: { body: { timeoutMs: 100, bytesPerSecond: 1e9 } } });
    const { port } = new URL(url);
    const socket = connect(Number(port), "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(`${head("content-length: 1000")}{`);
    const numOpen = (): Promise<number> =>
      new Promise((resolve, reject) =>
        app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      );
    await vi.waitFor(async () => expect(await numOpen()).toBe(1));
    socket.resetAndDestroy();
    await vi.waitFor(async () => expect(await numOpen()).toBe(0));
  });

  test.each([
    ["too large", { body: `"${"x".repeat(70_000)}"` }, 413, "request_too_large"],
    ["compressed", { headers: { "content-encoding": "gzip" } }, 415, "unsupported_media_type"],
    ["no JSON by its type", { headers: { "content-type": "text/plain" } }, 415, "unsupported_media_type"],
    ["no JSON", { body: "{" }, 400, "invalid_request"],
    ["too deep", { body: "[".repeat(20_000) }, 400, "invalid_request"],
    ["a key twice", { body: '{"a":1,"a":2}' }, 400, "invalid_request"],
    ["__proto__", { body: '{"__proto__":{"isAdmin":true}}' }, 400, "invalid_request"],
    ["constructor.prototype", { body: '{"constructor":{"prototype":{}}}' }, 400, "invalid_request"],
  ])("%s", async (_name, init, status, code) => {
    await start();
    expect(await ask(`${url}/user`, init)).toMatchObject({ status, code });
  });

  test("a route that takes images gets their bytes, and no JSON", async () => {
    await start();
    const image = { method: "PUT", body: "PNG", headers: { "content-type": "image/png" } };
    expect(await ask(`${url}/image`, image)).toMatchObject({ status: 200, body: { bytes: 3 } });
    expect(await ask(`${url}/image`, { method: "PUT" })).toMatchObject({ status: 415 });
    expect(await ask(`${url}/user`, { headers: { "content-type": "image/png" } })).toMatchObject({
      status: 415,
    });
  });
});

describe("limits of a client", () => {
  test("a place is free again when its client has left", async () => {
    await start({
      clients: { requestsPerMinute: 1e6, burst: 1e5, concurrent: 1 },
      timeouts: { body: { timeoutMs: 60_000, bytesPerSecond: 1 } },
    });
    const { port } = new URL(url);
    const socket = connect(Number(port), "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(
      "POST /user HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{",
    );
    await vi.waitFor(async () => expect((await ask(`${url}/user`)).status).toBe(429));
    socket.destroy();
    await vi.waitFor(async () => expect((await ask(`${url}/user`)).status).toBe(200));
  });

  test("a connection serves a thousand requests and is then closed, and an idle one sooner", async () => {
    await start({ timeouts: { keepAliveMs: 200 } });
    const request = "GET /open HTTP/1.1\r\nhost: localhost\r\n\r\n";
    const answers = await talk(url, [request.repeat(1_001)]);
    expect(answers.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(1_000);
    expect(answers).toMatch(/^connection: close$/im);
    // Closed by the server, for this client never is the one to go.
    expect(statusOf(await talk(url, [request]))).toBe(200);
  });

  const lan = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

  test.skipIf(lan === undefined)("one address of another machine gets only some of them", async () => {
    await start();
    const other = createServer({
      bodies: "json",
      seeAlso: "",
      hosts: [lan ?? ""],
      connections: { perAddress: 2 },
    });
    other.get("/open", { config: { role: "public" } }, async () => null);
    const held: Socket[] = [];
    try {
      const { port } = new URL(await other.listen({ host: "0.0.0.0", port: 0 }));
      for (let count = 0; count < 2; count++) held.push(connect(Number(port), lan));
      await Promise.all(held.map(async (socket) => await once(socket, "connect")));
      const request = `GET /open HTTP/1.1\r\nhost: ${lan}\r\nconnection: close\r\n\r\n`;
      expect(await talk(`http://${lan}:${port}`, [request])).toBe("");
      // A client on this machine may be a proxy for many.
      expect(statusOf(await talk(`http://127.0.0.1:${port}`, [request]))).toBe(200);
    } finally {
      for (const socket of held) socket.destroy();
      await other.close();
    }
  });

  test("more connections than there may be are closed; when one goes, the next comes in", async () => {
    await start({ connections: { total: 3 } });
    const { port } = new URL(url);
    const held = [1, 2, 3].map(() => connect(Number(port), "127.0.0.1"));
    await Promise.all(
      held.map((socket) => new Promise<void>((resolve) => socket.once("connect", () => resolve()))),
    );
    await expect(talk(url, ["GET /open HTTP/1.1\r\nhost: localhost\r\n\r\n"])).resolves.toBe("");
    for (const socket of held) socket.destroy();
    await vi.waitFor(async () => expect((await fetch(`${url}/open`)).status).toBe(200));
  });
});

test("errors of missing routes and of broken handlers reveal nothing of the server", async () => {
  await start();
  expect(await ask(`${url}/nowhere`)).toMatchObject({ status: 404, code: "not_found" });
  await app.close();
  ({ app, url } = await (async () => {
    const broken = createServer({ bodies: "json", seeAlso: "" });
    broken.get("/open", { config: { role: "public" } }, async () => null);
    broken.get("/broken", { config: { role: "public" } }, async () => {
      throw new Error("/etc/secret is not there");
    });
    return { app: broken, url: await broken.listen({ host: "127.0.0.1", port: 0 }) };
  })());
  const answer = await ask(`${url}/broken`, { method: "GET" });
  expect(answer).toMatchObject({ status: 500, code: "internal" });
  expect(JSON.stringify(answer.body)).not.toContain("secret");
});
