/** Images by address: what servers may send, where they may point, and how long all of it may take. */
import { once } from "node:events";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  codeOf,
  FILE,
  log,
  redirect,
  startFetchStage,
  typed,
  type FetchStage,
} from "../support/fetch-stage.ts";
import { certificate, imageHost, type Host } from "../support/image-hosts.ts";

let stage: FetchStage;
let host: Host;
let get: FetchStage["get"];

beforeAll(async () => {
  stage = await startFetchStage();
  ({ host, get } = stage);
});
afterAll(() => stage[Symbol.asyncDispose]());

// Whatever was asked for: the private server was not reached.
afterEach(() => expect(stage.trap.seen).toEqual([]));

describe("U34 and U35: redirects", () => {
  test.each([301, 302, 303, 307, 308])(
    "%i is not followed unless that is allowed, and looked at like the first",
    async (status) => {
      const inner = await imageHost(redirect(status, `http://127.0.0.1:${host.port}/`));
      const outer = await imageHost(redirect(status, `http://pictures.example:${host.port}/followed`));
      const ports = [host.port, inner.port, outer.port];
      const followed = (): number => host.seen.filter((line) => line.includes("/followed")).length;
      const before = followed();
      const to = async (port: number, maxRedirects: number): Promise<unknown> =>
        await codeOf(get(`http://pictures.example:${port}/`, { policy: { ports, maxRedirects } }));
      expect(await to(outer.port, 0)).toBe("image_url_blocked");
      expect(followed()).toBe(before);
      expect(await to(outer.port, 1)).toBe("fetched");
      expect(await to(inner.port, 3)).toBe("image_url_blocked");
      await inner[Symbol.asyncDispose]();
      await outer[Symbol.asyncDispose]();
    },
  );

  test.each([
    ["/two", 2, "fetched"],
    ["/three", 2, "image_url_blocked"],
    ["/loop", 3, "image_url_blocked"],
    ["/file", 3, "image_url_blocked"],
    ["/to-single", 3, "image_url_blocked"],
    ["/nowhere", 3, "image_fetch_failed"],
  ])("%s with at most %i", async (path, maxRedirects, code) => {
    expect(await codeOf(get(`http://pictures.example:PORT${path}`, { policy: { maxRedirects } }))).toBe(code);
  });
});

describe("U36 to U39: what the server sends", () => {
  test.each([
    ["U36", "/svg", "invalid_image"],
    ["U36", "/declared-svg", "image_fetch_failed"],
    ["U37", "/html", "invalid_image"],
    ["U37", "/declared-html", "image_fetch_failed"],
    ["U37", "/mislabelled", "image_fetch_failed"],
    ["U37", "/untyped", "image_fetch_failed"],
    ["U38", "/empty", "invalid_image"],
    ["U38", "/204", "image_fetch_failed"],
    ["U38", "/206", "image_fetch_failed"],
    ["U38", "/404", "image_fetch_failed"],
    ["U38", "/500", "image_fetch_failed"],
    ["U39", "/gzip", "image_fetch_failed"],
    ["U39", "/announced", "image_fetch_failed"],
    ["U39", "/endless", "image_fetch_failed"],
    ["U39", "/short", "image_fetch_failed"],
    ["U39", "/huge-head", "image_fetch_failed"],
  ])("%s %s", async (_number, path, code) => {
    expect(await codeOf(get(`http://pictures.example:PORT${path}`))).toBe(code);
  });

  test.each(["/drip", "/nothing"])("U39 %s is cut off", async (path) => {
    const hurried = { limits: { totalMs: 700 } };
    await expect(get(`http://pictures.example:PORT${path}`, hurried)).rejects.toMatchObject({
      code: "image_fetch_failed",
      message: expect.stringMatching(/within 0.7 s/),
    });
  });

  test("no server at the address", async () => {
    expect(await codeOf(get("http://closed.example:PORT/"))).toBe("image_fetch_failed");
  });
});

describe("U40: TLS", () => {
  test.each([
    ["valid.pem", "pictures.example", "fetched"],
    ["expired.pem", "pictures.example", "image_fetch_failed"],
    ["self-signed.pem", "pictures.example", "image_fetch_failed"],
    ["valid.pem", "good-alias.example", "image_fetch_failed"],
  ])("%s for %s", async (tls, name, code) => {
    const secure = await imageHost(typed("image/png", FILE), { tls });
    const options = { authorities: certificate("authority.pem"), policy: { ports: [secure.port] } };
    expect(await codeOf(get(`https://${name}:${secure.port}/`, options))).toBe(code);
    expect(secure.seen).toHaveLength(code === "fetched" ? 1 : 0);
    await secure[Symbol.asyncDispose]();
  });
});

describe("how much at a time", () => {
  test("two of a client, so many of all; what failed is not asked for again", async () => {
    let atOnce = 0;
    let most = 0;
    const { promise: free, resolve } = Promise.withResolvers<void>();
    const slow = await imageHost((response) => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      void free.then(() => {
        atOnce -= 1;
        return response.writeHead(404).end();
      });
    });
    const one = stage.fetcher({ policy: { ports: [slow.port] }, limits: { all: 3 } });
    const signal = new AbortController().signal;
    const fetches = Array.from({ length: 8 }, (_, index) =>
      codeOf(
        one.fetch(`http://pictures.example:${slow.port}/${index}`, {
          client: index < 5 ? "anna" : null,
          signal,
          log,
        }),
      ),
    );
    await expect.poll(() => atOnce).toBe(3);
    resolve();
    expect(new Set(await Promise.all(fetches))).toEqual(new Set(["image_fetch_failed"]));
    expect(most).toBe(3);
    const before = slow.seen.length;
    const again = one.fetch(`http://pictures.example:${slow.port}/1`, { client: "anna", signal, log });
    expect(await codeOf(again)).toBe("image_fetch_failed");
    expect(slow.seen).toHaveLength(before);
    await slow[Symbol.asyncDispose]();
  });

  test("who leaves closes its connection", async () => {
    const closed = Promise.withResolvers<void>();
    const slow = await imageHost(
      (_response, request) => void once(request.socket, "close").then(() => closed.resolve()),
    );
    const client = new AbortController();
    const fetching = get(
      `http://pictures.example:${slow.port}/`,
      { policy: { ports: [slow.port] } },
      client.signal,
    );
    await expect.poll(() => slow.seen.length).toBe(1);
    client.abort(new Error("left"));
    await expect(fetching).rejects.toThrow("left");
    await closed.promise;
    await slow[Symbol.asyncDispose]();
  });
});
