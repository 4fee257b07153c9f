/** Reads request bodies: accepts types, ends those that come too slowly, and compares them with what was signed. */
import { createHash } from "node:crypto";
import { Transform } from "node:stream";
import { LlavaError } from "@llava/protocol";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { principalOf } from "./auth/identity.ts";
import { parseJson } from "./limits/parse-json.ts";

export interface BodyLimits {
  /** Time that every body may take, milliseconds. */
  readonly timeoutMs: number;
  /** Slowest speed of a large body, which extends its time. */
  readonly bytesPerSecond: number;
}

const JSON_ONLY: readonly string[] = ["application/json"];

/** Time for the response that the body was late, before the connection is closed. */
const LAST_WORDS_MS = 1_000;

/**
 * Ends requests whose body does not come in time. Must be the first hook, because the body of a request that was refused
 * at once is still read to its end and may come as slowly as any other.
 */
export function endLateBodies(app: FastifyInstance, limits: BodyLimits): void {
  app.addHook("onRequest", async (request, reply) => {
    if (!hasBody(request)) return;
    const timeoutMs = limits.timeoutMs + (awaitedBytes(request) / limits.bytesPerSecond) * 1000;
    const { raw } = request;
    let timer = setTimeout(() => {
      if (reply.raw.writableEnded) return void raw.socket.destroy();
      timer = setTimeout(() => raw.socket.destroy(), LAST_WORDS_MS).unref();
      // Fails the reader of the body. `destroy` would close the connection before the response is sent.
      raw.emit("error", tooLate(timeoutMs));
    }, timeoutMs).unref();
    const stop = (): void => clearTimeout(timer);
    // An error without a listener, on a body that is not read, would end the process.
    raw.on("error", () => undefined);
    raw.once("end", stop);
    raw.once("close", stop);
  });
}

/**
 * `bytes` leaves every body as a Buffer, for servers that only pass it on; `json` parses those that are JSON. A route
 * takes JSON unless its config names other types in `accepts`.
 */
export function readBodies(app: FastifyInstance, as: "bytes" | "json"): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, async (request: FastifyRequest, body: Buffer) => {
    const isJson = acceptedBy(request) === JSON_ONLY;
    if (as === "bytes" || !isJson) return body;
    return body.length === 0 ? undefined : parseJson(body);
  });
  app.addHook("onRequest", async (request) => checkType(request));
  app.addHook("preParsing", async (request, _reply, payload) => {
    const sha256 = principalOf(request)?.content?.sha256 ?? null;
    return sha256 === null || !hasBody(request) ? payload : compared(payload, sha256);
  });
}

function checkType(request: FastifyRequest): void {
  const { headers } = request;
  const encoding = headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") {
    throw unsupported(`The body is compressed (${JSON.stringify(encoding.slice(0, 40))}); send it plain.`);
  }
  const type = headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  const accepted = acceptedBy(request);
  if (type === "" || request.is404 || accepted.some((pattern) => isOf(type, pattern))) return;
  const wanted = accepted === JSON_ONLY ? "JSON with content-type: application/json" : accepted.join(" or ");
  throw unsupported(`The body is ${JSON.stringify(type.slice(0, 80))}; send ${wanted}.`);
}

function acceptedBy(request: FastifyRequest): readonly string[] {
  return request.routeOptions.config.accepts ?? JSON_ONLY;
}

function isOf(type: string, pattern: string): boolean {
  return pattern.endsWith("/*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}

function hasBody({ headers }: FastifyRequest): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/** Passes the bytes on, and ends with an error when they are not those that were signed. */
function compared(payload: NodeJS.ReadableStream, sha256: string): Transform {
  const hash = createHash("sha256");
  const copy = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      const fits = hash.digest("hex") === sha256;
      done(
        fits ? null : new LlavaError("unauthorized", "The body is not the one that the signature is about."),
      );
    },
  });
  copy.on("error", () => undefined);
  payload.on("error", (error: Error) => void copy.destroy(error));
  return payload.pipe(copy);
}

/** Announced bytes, up to the limit of the route; 0 for a body without a length, which gets the fixed time only. */
function awaitedBytes({ headers, routeOptions }: FastifyRequest): number {
  if (headers["transfer-encoding"] !== undefined) return 0;
  return Math.min(Number(headers["content-length"] ?? 0), routeOptions.bodyLimit ?? 0);
}

function tooLate(ms: number): LlavaError {
  return new LlavaError(
    "timeout",
    `The body did not come within ${Math.ceil(ms / 1000)} s. Send it again over a faster connection.`,
  );
}

function unsupported(sentence: string): LlavaError {
  return new LlavaError("unsupported_media_type", sentence);
}
