/**
 * Stands in for the controller in tests of the page: real HTTP and the real wire, with answers that the test gives.
 * Tests with a whole service run the real controller and a real worker.
 */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";

import {
  SSE_DONE,
  SSE_HEADERS,
  chatTimings,
  chatUsage,
  completionHead,
  createModelCard,
  encodeSse,
  encodeSseJson,
  errorBody,
  finishChunk,
  modelListBody,
  parseChatRequest,
  roleChunk,
  textChunk,
  usageChunk,
} from "@llava/protocol";
import type { ChatRequest, FinishReason, LlavaError, ModelCard } from "@llava/protocol";

const CARD = `---
license: apache-2.0
---
# LLaVA demo

A small LLaVA that answers questions about drawings of shapes and characters.

## Limits

It was trained only on drawings and never saw a photograph, so its answers about one are guesses.
`;

export function card(id: string, facts: Partial<ModelCard> = {}): ModelCard {
  const own = { context_length: 512, tokens_per_image: 64, card: CARD };
  return createModelCard(id, 1_700_000_000, { ...own, ...facts });
}

/** A question that arrived, with the ways to answer it. */
export class Exchange {
  readonly requestId: string;
  readonly contentType: string;
  readonly bytes: Buffer;
  readonly request: ChatRequest;
  /** Resolves when the client disconnects before the end. */
  readonly left: Promise<void>;
  readonly #response: ServerResponse;
  #sent = "";
  readonly #head = completionHead("llava-demo");

  constructor(incoming: IncomingMessage, bytes: Buffer, response: ServerResponse) {
    this.requestId = String(incoming.headers["x-request-id"]);
    this.contentType = String(incoming.headers["content-type"]);
    this.bytes = bytes;
    this.request = parseChatRequest(JSON.parse(bytes.toString()));
    this.#response = response;
    this.left = new Promise((resolve) => {
      response.once("close", () => {
        if (!response.writableFinished) resolve();
      });
    });
  }

  /** All bytes that were sent so far. */
  get sent(): string {
    return this.#sent;
  }

  /** Sends the first chunk, which has no text. */
  begin(): this {
    this.#response.writeHead(200, SSE_HEADERS);
    return this.write(encodeSseJson(roleChunk(this.#head)));
  }

  say(text: string): this {
    return this.write(encodeSseJson(textChunk(this.#head, text)));
  }

  finish(reason: FinishReason = "stop"): void {
    const usage = chatUsage({ promptTokens: 83, imageTokens: 64, cachedTokens: 0, completionTokens: 9 });
    const timings = chatTimings({
      queueMs: 1,
      encodeMs: 60,
      prefillMs: 80,
      decodeMs: 160,
      firstTokenMs: 310,
    });
    this.write(encodeSseJson(finishChunk(this.#head, reason, timings)));
    this.write(encodeSseJson(usageChunk(this.#head, usage)));
    this.write(encodeSse(SSE_DONE));
    this.#response.end();
  }

  /** Sends an error event and ends the stream. */
  fail(error: LlavaError): void {
    this.#response.end(encodeSseJson(errorBody(error)));
  }

  refuse(error: LlavaError, headers: Readonly<Record<string, string>> = {}): void {
    this.#response.writeHead(error.status, { "content-type": "application/json", ...headers });
    this.#response.end(JSON.stringify(errorBody(error)));
  }

  /** Closes the connection, as when the process is killed. */
  breakOff(): void {
    this.#response.destroy();
  }

  /** Sends bytes unchanged in the middle of an answer. */
  write(bytes: string): this {
    this.#sent += bytes;
    this.#response.write(bytes);
    return this;
  }
}

export class ControllerStage implements AsyncDisposable {
  models: readonly ModelCard[] = [card("llava-demo")];
  /** Body of `GET /cluster`; null where the controller has no such route. */
  cluster: unknown = null;
  /** Uploaded files by key. */
  readonly blobs = new Map<string, Buffer>();
  /**
   * Waiting tests, each of which takes one of the next questions; a question without a waiting test is answered
   * "Yes.".
   */
  readonly #waiting: ((exchange: Exchange) => void)[] = [];
  #server: Server | null = null;
  #port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Resolves to the next question that arrives. */
  next(): Promise<Exchange> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Listens; a second call uses the same port as the first. */
  async open(): Promise<this> {
    const server = createServer((incoming, response) => void this.#serve(incoming, response));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (address !== null && typeof address === "object") this.#port = address.port;
    this.#server = server;
    return this;
  }

  /** Closes all connections at once, as when the process dies. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (!server) return;
    const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    if (incoming.url === "/v1/models") {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(modelListBody(this.models)));
      return;
    }
    if (incoming.url === "/cluster" && this.cluster !== null) {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(this.cluster));
      return;
    }
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part);
    if (incoming.url?.startsWith("/v1/blobs/")) {
      const key = incoming.url.slice("/v1/blobs/".length);
      if (incoming.method === "HEAD") {
        response.writeHead(this.blobs.has(key) ? 200 : 404).end();
        return;
      }
      this.blobs.set(key, Buffer.concat(parts));
      response.writeHead(201, { "content-type": "application/json" }).end("{}");
      return;
    }
    if (incoming.url !== "/v1/chat/completions") {
      response.writeHead(404, { "content-type": "application/json" }).end("{}");
      return;
    }
    const exchange = new Exchange(incoming, Buffer.concat(parts), response);
    const take = this.#waiting.shift();
    if (take) take(exchange);
    else exchange.begin().say("Yes.").finish();
  }
}
