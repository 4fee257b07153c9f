/** Downloads one image from addresses that were checked before: the name is not resolved again, no cookies, no redirects. */
import { Client, buildConnector, type Dispatcher } from "undici";
import { LlavaError } from "@llava/protocol";
import { blocked, failed, hostOf, type FetchLimits } from "./fetch-policy.ts";
import { canonicalAddress } from "./public-address.ts";

export interface Download {
  readonly url: URL;
  /** Addresses of the host, each public; tried in order. */
  readonly addresses: readonly string[];
  readonly limits: FetchLimits;
  /** Certificates of authorities, PEM; Node's own list when absent. */
  readonly authorities?: string;
  readonly signal: AbortSignal;
}

/** The answer: a file, or the address of a redirect. */
export type Downloaded =
  | { readonly type: "file"; readonly mediaType: string; readonly bytes: Uint8Array }
  | { readonly type: "redirect"; readonly location: string };

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const MEDIA_TYPES: ReadonlySet<string> = new Set([
  "image/png",
  "image/jpeg",
  "image/jpg",
  "image/webp",
  "application/octet-stream",
  "binary/octet-stream",
]);
const MAX_HEADER_BYTES = 16 << 10;

export async function download(task: Download): Promise<Downloaded> {
  const { url, limits, signal } = task;
  const client = new Client(url.origin, {
    connect: pinnedConnector(task),
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: limits.headersMs,
    bodyTimeout: limits.headersMs,
    maxResponseSize: limits.bytes,
    pipelining: 1,
  });
  try {
    const response = await client.request({
      method: "GET",
      path: url.pathname + url.search,
      headers: {
        accept: "image/png, image/jpeg, image/webp",
        "accept-encoding": "identity",
        "user-agent": "llava",
        connection: "close",
      },
      signal,
    });
    return await readResponse(response, limits);
  } catch (thrown) {
    signal.throwIfAborted();
    throw thrown instanceof LlavaError ? thrown : failed(reasonOf(thrown, limits), thrown);
  } finally {
    await client.destroy();
  }
}

async function readResponse(response: Dispatcher.ResponseData, limits: FetchLimits): Promise<Downloaded> {
  const { statusCode, headers, body } = response;
  // Its connection is closed; a later error of it must not be thrown.
  body.on("error", () => undefined);
  const location = one(headers["location"]);
  if (REDIRECTS.has(statusCode) && location !== null) return { type: "redirect", location };
  if (statusCode !== 200) throw failed(`the server answered HTTP ${statusCode}`);
  const encoding = one(headers["content-encoding"]);
  if (encoding !== null && encoding !== "identity") throw failed("the server sent it compressed");
  const mediaType = one(headers["content-type"])?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (!MEDIA_TYPES.has(mediaType)) throw failed("the server says that it is no PNG, JPEG or WebP");
  if (Number(one(headers["content-length"]) ?? 0) > limits.bytes) throw tooLarge(limits);
  return { type: "file", mediaType, bytes: await readFile(body, limits) };
}

async function readFile(body: AsyncIterable<unknown>, limits: FetchLimits): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue;
    length += chunk.length;
    if (length > limits.bytes) throw tooLarge(limits);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** Connects to the addresses in turn, by number, and checks the peer of each connection. */
function pinnedConnector({ url, addresses, limits, authorities }: Download): buildConnector.connector {
  const connect = buildConnector({
    timeout: limits.connectMs,
    allowH2: false,
    maxCachedSessions: 0,
    autoSelectFamily: false,
    ...(authorities === undefined ? {} : { ca: authorities }),
  });
  const servername = url.protocol === "https:" ? { servername: hostOf(url) } : {};
  return (options, callback) => {
    const attempt = (index: number, earlier: Error): void => {
      const address = addresses[index];
      if (address === undefined) return callback(earlier, null);
      connect({ ...options, hostname: address, ...servername }, (error, socket) => {
        if (error !== null) return attempt(index + 1, error);
        if (canonicalAddress(socket.remoteAddress ?? "") === canonicalAddress(address))
          return callback(null, socket);
        socket.destroy();
        return callback(blocked("leads to another machine than its name says"), null);
      });
    };
    attempt(0, new Error("There is no address."));
  };
}

/** Reveals little of what the server is: the client may have no right to know. */
function reasonOf(thrown: unknown, { bytes, headersMs }: FetchLimits): string {
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
  if (code === "UND_ERR_RES_EXCEEDED_MAX_SIZE") return sizeSentence(bytes);
  if (code === "UND_ERR_HEADERS_OVERFLOW") return "the head of the answer is too large";
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT")
    return `the server said nothing for ${headersMs / 1000} s`;
  if (/CERT|SIGNATURE|SELF_SIGNED|ALTNAME|TLS|SSL/.test(code)) return "the server's certificate is not valid";
  return "the server cannot be reached or broke off";
}

function tooLarge({ bytes }: FetchLimits): LlavaError {
  return failed(sizeSentence(bytes));
}

function sizeSentence(bytes: number): string {
  return `it is larger than ${bytes} bytes`;
}

function one(header: string | string[] | undefined): string | null {
  return typeof header === "string" ? header : (header?.[0] ?? null);
}
