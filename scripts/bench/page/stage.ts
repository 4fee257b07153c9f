/** A controller that says what the bench wants at the speed that it wants, and notes when. */
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  SSE_DONE,
  SSE_HEADERS,
  chatTimings,
  chatUsage,
  completionHead,
  createModelCard,
  encodeSse,
  encodeSseJson,
  finishChunk,
  modelListBody,
  roleChunk,
  textChunk,
  usageChunk,
} from "@llava/protocol";

export interface Script {
  readonly tokens: readonly string[];
  readonly perSecond: number;
}

const CARD = createModelCard("bench", 1_700_000_000, { context_length: 1 << 20, tokens_per_image: 64 });
const TICK_MS = 4;

export class Stage implements AsyncDisposable {
  script: Script = { tokens: ["Yes."], perSecond: 100 };
  /** When each token of the last answer left, in milliseconds of this process's clock. */
  sentMs: number[] = [];
  /** When the client of the last request had left; null while it listens. */
  leftMs: number | null = null;
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  async open(): Promise<string> {
    await new Promise<void>((resolve) => void this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("The stage has no port.");
    return `http://127.0.0.1:${address.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for await (const _ of request);
    if (request.url === "/v1/chat/completions") return this.#speak(response);
    const isList = request.url === "/v1/models";
    response.writeHead(isList ? 200 : 404, { "content-type": "application/json" });
    response.end(isList ? JSON.stringify(modelListBody([CARD])) : "{}");
  }

  #speak(response: ServerResponse): void {
    const { tokens, perSecond } = this.script;
    const head = completionHead("bench");
    this.sentMs = [];
    this.leftMs = null;
    response.writeHead(200, SSE_HEADERS);
    response.socket?.setNoDelay(true);
    response.write(encodeSseJson(roleChunk(head)));
    const startMs = performance.now();
    const timer = setInterval(() => {
      const due = Math.min(tokens.length, Math.floor(((performance.now() - startMs) * perSecond) / 1000));
      while (this.sentMs.length < due) {
        response.write(encodeSseJson(textChunk(head, tokens[this.sentMs.length] ?? "")));
        this.sentMs.push(performance.now());
      }
      if (due < tokens.length) return;
      clearInterval(timer);
      const zero = { queueMs: 0, encodeMs: 0, prefillMs: 0, decodeMs: 1, firstTokenMs: 1 };
      response.write(encodeSseJson(finishChunk(head, "stop", chatTimings(zero))));
      const counts = { promptTokens: 1, imageTokens: 0, cachedTokens: 0, completionTokens: tokens.length };
      response.write(encodeSseJson(usageChunk(head, chatUsage(counts))));
      response.end(encodeSse(SSE_DONE));
    }, TICK_MS);
    response.once("close", () => {
      clearInterval(timer);
      if (!response.writableFinished) this.leftMs = performance.now();
    });
  }
}
