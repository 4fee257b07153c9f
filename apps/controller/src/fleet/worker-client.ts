/** Sends the controller's requests to workers, with all time and size limits in one place. */
import { Readable } from "node:stream";
import { signedHeaders } from "@llava/server";
import {
  LlavaError,
  parseModelList,
  parseWorkerStatus,
  type ModelCard,
  type WorkerStatus,
} from "@llava/protocol";
import type { Dispatcher } from "undici";
import { WorkerConnections } from "./worker-connections.ts";

/** How long a worker gets to send its status, as in haotian-liu/LLaVA (`llava/serve/controller.py`); then it counts as dead. */
const PROBE_TIMEOUT_MS = 5_000;
/**
 * The longest silence of a worker, before the first byte and between bytes. The original gives 5 s, less than a large prompt
 * takes on a CPU; ten minutes end only what is stuck. The connection of a dead worker fails long before.
 */
export const SILENCE_TIMEOUT_MS = 600_000;
/** How long an image may take to be sent: 10 MiB at 3 Mbit/s. */
const BLOB_TIMEOUT_MS = 30_000;
const MAX_PROBE_BYTES = 1 << 20;

/** Codes of errors for which a worker is not there, or no longer. Node's own, and undici's with UND. */
const CONNECTION_FAILURES: ReadonlySet<string> = new Set([
  "EAI_AGAIN",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_OVERFLOW",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  "UND_ERR_SOCKET",
]);

/** Those of them for which there was no connection at all. */
const UNREACHED: ReadonlySet<string> = new Set([
  "EAI_AGAIN",
  "ECONNREFUSED",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "UND_ERR_CONNECT_TIMEOUT",
]);

export class WorkerClient {
  readonly #connections = new WorkerConnections(isConnectionFailure);
  /** The cluster's token, by whose signature workers recognise their controller's requests. */
  readonly #token: string | null;

  constructor(token: string | null = null) {
    this.#token = token;
  }

  async status(address: string): Promise<WorkerStatus> {
    const { statusCode, body } = await this.#probe(address, "/worker_get_status", "POST");
    if (statusCode !== 200)
      throw new LlavaError("worker_lost", `The worker ${address} answered HTTP ${statusCode}.`);
    return parseWorkerStatus(body);
  }

  /** The model cards of a worker; null when it has LLaVA's own endpoints only. */
  async models(address: string): Promise<readonly ModelCard[] | null> {
    const { statusCode, body } = await this.#probe(address, "/v1/models", "GET");
    if (statusCode === 404 || statusCode === 405) return null;
    if (statusCode !== 200)
      throw new LlavaError("worker_lost", `The worker ${address} answered HTTP ${statusCode}.`);
    return parseModelList(body).data;
  }

  /**
   * Resolves when the headers are here; the body is read as fast as its reader wants.
   * @param pieces the parts of the body, which are sent one after the other
   * @param options.silenceMs the longest wait for the first byte, and for each further one that the reader is ready for
   */
  async post(
    address: string,
    path: string,
    pieces: readonly Uint8Array[],
    headers: Readonly<Record<string, string>>,
    { signal, silenceMs }: { readonly signal: AbortSignal; readonly silenceMs: number },
  ): Promise<Dispatcher.ResponseData> {
    const [only = new Uint8Array(), ...more] = pieces;
    const length = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
    return this.#connections.request(urlOf(address, path), {
      method: "POST",
      body: () => (more.length === 0 ? only : Readable.from(pieces)),
      headers: () => ({
        ...headers,
        "content-length": String(length),
        ...signedHeaders(this.#token, "POST", path, pieces),
      }),
      headersTimeout: silenceMs,
      bodyTimeout: silenceMs,
      signal,
    });
  }

  /** Whether the worker has the image that was uploaded under this key. */
  async hasBlob(address: string, key: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#blob("HEAD", address, key, null, signal)) === 200;
  }

  /** @returns whether the worker took it */
  async putBlob(address: string, key: string, bytes: Uint8Array, signal: AbortSignal): Promise<boolean> {
    const statusCode = await this.#blob("PUT", address, key, bytes, signal);
    return statusCode === 200 || statusCode === 201;
  }

  async #blob(
    method: "HEAD" | "PUT",
    address: string,
    key: string,
    bytes: Uint8Array | null,
    signal: AbortSignal,
  ): Promise<number> {
    const path = `/v1/blobs/${key}`;
    const { statusCode, body } = await this.#connections.request(urlOf(address, path), {
      method,
      body: () => bytes,
      headers: () => ({
        ...(bytes === null ? {} : { "content-type": "application/octet-stream" }),
        ...signedHeaders(this.#token, method, path, bytes),
      }),
      headersTimeout: BLOB_TIMEOUT_MS,
      bodyTimeout: BLOB_TIMEOUT_MS,
      signal,
    });
    await body.dump();
    return statusCode;
  }

  /** Ends the requests that are under way. */
  async close(): Promise<void> {
    await this.#connections.close();
  }

  async #probe(
    address: string,
    path: string,
    method: "GET" | "POST",
  ): Promise<{ readonly statusCode: number; readonly body: unknown }> {
    const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
    const response = await this.#connections.request(urlOf(address, path), {
      method,
      headers: () => signedHeaders(this.#token, method, path, null),
      headersTimeout: PROBE_TIMEOUT_MS,
      bodyTimeout: PROBE_TIMEOUT_MS,
      signal,
    });
    if (response.statusCode !== 200) {
      await response.body.dump();
      return { statusCode: response.statusCode, body: null };
    }
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of bytesOf(response.body)) {
      length += chunk.length;
      if (length > MAX_PROBE_BYTES)
        throw new LlavaError("worker_lost", `The worker ${address} sent too much on ${path}.`);
      chunks.push(chunk);
    }
    return { statusCode: 200, body: JSON.parse(Buffer.concat(chunks).toString("utf8")) };
  }
}

/**
 * Whether the error means that the worker is not there, or no longer, or is no HTTP server. A body that ends with its
 * connection can be an error of the HTTP parser.
 */
export function isConnectionFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === "HTTPParserError") return true;
  if ("code" in error && typeof error.code === "string" && CONNECTION_FAILURES.has(error.code)) return true;
  if (error instanceof AggregateError) return error.errors.some((inner) => isConnectionFailure(inner));
  return error.cause !== undefined && isConnectionFailure(error.cause);
}

/** Whether there was no connection at all, so that the worker cannot have seen the request. */
export function isUnreached(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError) return error.errors.some((inner) => isUnreached(inner));
  if ("code" in error && typeof error.code === "string" && UNREACHED.has(error.code)) return true;
  return error.cause !== undefined && isUnreached(error.cause);
}

/** Whether the worker was silent for longer than its time limit. */
export function isSilence(error: unknown): boolean {
  return (
    error instanceof Error && (error.name === "HeadersTimeoutError" || error.name === "BodyTimeoutError")
  );
}

/** A response's body as the chunks of bytes that it is. */
export async function* bytesOf(body: AsyncIterable<unknown>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of body) {
    if (chunk instanceof Uint8Array) yield chunk;
  }
}

function urlOf(address: string, path: string): string {
  return address.replace(/\/+$/, "") + path;
}
