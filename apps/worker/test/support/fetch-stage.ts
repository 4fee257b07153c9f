/** What tests of fetching images need: a host full of answers, a trap, names, and a fetcher that knows no others. */
import type { ServerResponse } from "node:http";
import { pino } from "pino";
import { ImageFetcher, type ImageFetcherOptions } from "../../src/images/fetch/image-fetcher.ts";
import { isPublicAddress } from "../../src/images/fetch/public-address.ts";
import { createResolver } from "../../src/images/fetch/resolver.ts";
import { canary, nameServer, PUBLIC, imageHost, type Host, type NameServer } from "./image-hosts.ts";
import { png } from "@llava/testing/png";

export const FILE = png(4, 4, [9, 9, 9]);
export const log = pino({ level: "silent" });

export type Answer = (response: ServerResponse) => void;

export function typed(type: string, body: string | Uint8Array): Answer {
  return (response) => void response.setHeader("content-type", type).end(body);
}

export function redirect(status: number, location: string): Answer {
  return (response) => void response.writeHead(status, { location }).end();
}

const JPEG = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.alloc(64)]);

const ANSWERS: Readonly<Record<string, Answer>> = {
  "/octets": typed("application/octet-stream", FILE),
  "/parameters": typed("Image/PNG; charset=binary", FILE),
  "/svg": typed("image/png", '<svg xmlns="http://www.w3.org/2000/svg"/>'),
  "/declared-svg": typed("image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg"/>'),
  "/html": typed("image/png", '<html><meta http-equiv="refresh" content="0;url=http://127.0.0.1/"></html>'),
  "/declared-html": typed("text/html", "<html></html>"),
  "/mislabelled": typed("image/png", JPEG),
  "/untyped": (response) => void response.end(FILE),
  "/empty": typed("image/png", ""),
  "/204": (response) => void response.writeHead(204).end(),
  "/404": (response) => void response.writeHead(404, { "content-type": "image/png" }).end(FILE),
  "/500": (response) => void response.writeHead(500).end(),
  "/206": (response) => void response.writeHead(206, { "content-type": "image/png" }).end(FILE),
  "/gzip": (response) =>
    void response.writeHead(200, { "content-type": "image/png", "content-encoding": "gzip" }).end(FILE),
  "/announced": (response) => {
    response.writeHead(200, { "content-type": "image/png", "content-length": String(1 << 30) });
    response.write(FILE);
  },
  "/endless": (response) => {
    response.setHeader("content-type", "image/png");
    const flood = setInterval(() => response.write(Buffer.alloc(64 << 10)), 1);
    response.on("close", () => clearInterval(flood));
  },
  "/short": (response) => {
    response.writeHead(200, { "content-type": "image/png", "content-length": String(FILE.length + 10) });
    response.write(FILE, () => response.destroy());
  },
  "/drip": (response) => {
    response.setHeader("content-type", "image/png");
    const drip = setInterval(() => response.write("a"), 50);
    response.on("close", () => clearInterval(drip));
  },
  "/nothing": () => undefined,
  "/huge-head": (response) => void response.setHeader("x", "a".repeat(40_000)).end(FILE),
  "/relative": redirect(302, "octets"),
  "/loop": redirect(302, "/loop"),
  "/two": redirect(307, "/relative"),
  "/three": redirect(308, "/two"),
  "/file": redirect(302, "file:///etc/passwd"),
  "/to-single": redirect(302, "http://canary/"),
  "/nowhere": (response) => void response.writeHead(302).end(),
};

const LIMITS = { bytes: 100_000, resolveMs: 1_000, connectMs: 3_000, headersMs: 3_000, totalMs: 10_000 };

export interface FetchStage extends AsyncDisposable {
  readonly host: Host;
  /** Hits of the private server at the same port, which must not be reached. */
  readonly trap: Host;
  readonly names: NameServer;
  readonly fetcher: (options?: ImageFetcherOptions) => ImageFetcher;
  /** `PORT` in the address is the host's. */
  readonly get: (url: string, options?: ImageFetcherOptions, signal?: AbortSignal) => Promise<Uint8Array>;
}

export async function startFetchStage(): Promise<FetchStage> {
  const host = await imageHost((response, request) => {
    const answer = ANSWERS[request.url ?? ""] ?? typed("image/png", FILE);
    answer(response);
  });
  const trap = await canary(host.port);
  const names = await nameServer({
    "pictures.example": { a: [[PUBLIC]] },
    "rebinding.example": { a: [[PUBLIC], ["127.0.0.1"]] },
    "mixed.example": { a: [[PUBLIC, "127.0.0.1"]] },
    "mixed6.example": { a: [[PUBLIC]], aaaa: ["::1"] },
    "alias.example": { cname: "inner.example", a: [["127.0.0.1"]] },
    "good-alias.example": { cname: "pictures.example", a: [[PUBLIC]] },
    "only6.example": { aaaa: ["::1"] },
    "private.example": { a: [["10.0.0.1"]] },
    "metadata.example": { a: [["169.254.169.254"]] },
    "nat64.example": { aaaa: ["64:ff9b::7f00"] },
    "many.example": { a: [Array.from({ length: 9 }, () => PUBLIC)] },
    "silent.example": { isSilent: true },
    "closed.example": { a: [["127.0.0.8"]] },
  });
  const fetcher = (options: ImageFetcherOptions = {}): ImageFetcher =>
    new ImageFetcher({
      resolve: createResolver(LIMITS.resolveMs, [names.address]),
      isPublic: (address) => address === PUBLIC || address === "127.0.0.8" || isPublicAddress(address),
      ...options,
      policy: { allowsHttp: true, ports: [host.port], ...options.policy },
      limits: { ...LIMITS, ...options.limits },
    });
  return {
    host,
    trap,
    names,
    fetcher,
    get: (url, options, signal = new AbortController().signal) =>
      fetcher(options).fetch(url.replaceAll("PORT", String(host.port)), { client: "anna", signal, log }),
    async [Symbol.asyncDispose]() {
      for (const thing of [host, trap, names]) await thing[Symbol.asyncDispose]();
    },
  };
}

/** The code that it was refused with, or "fetched". */
export function codeOf(fetching: Promise<unknown>): Promise<unknown> {
  return fetching.then(
    () => "fetched",
    (error: unknown) => (error instanceof Error && "code" in error ? error.code : error),
  );
}
