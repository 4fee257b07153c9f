/** The doors for OpenAI's clients and for whoever watches: chat, models, health. */
import { encodeSseJson, errorBody, modelListBody } from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import { MAX_RELAYED_BODY_BYTES } from "./body.ts";
import type { ModelCards } from "./model-cards.ts";
import type { Registry } from "./registry.ts";
import { relayHandler, type Door } from "./relay-route.ts";
import type { Relay } from "./relay.ts";
import type { Streams } from "./streams.ts";

const LINE_FEED = 0x0a;

/** Failures are an HTTP status before the first byte and an event after it; a broken body that is no stream is cut off. */
const OPENAI_DOOR: Door = {
  path: "/v1/chat/completions",
  check: () => undefined,
  delimiter: ({ headers }) =>
    headers["content-type"]?.startsWith("text/event-stream") === true ? LINE_FEED : null,
  refuse: (error) => {
    throw error;
  },
  breakOff: (error, response, delimiter) => {
    if (delimiter === null) response.destroy();
    else response.end(`\n${encodeSseJson(errorBody(error))}`);
  },
};

export function addOpenAiRoutes(
  app: FastifyInstance,
  parts: {
    readonly registry: Registry;
    readonly relay: Relay;
    readonly streams: Streams;
    readonly cards: ModelCards;
  },
): void {
  const { registry, relay, streams, cards } = parts;
  const bodyLimit = MAX_RELAYED_BODY_BYTES;
  app.post("/v1/chat/completions", { bodyLimit }, relayHandler(relay, streams, OPENAI_DOOR));
  app.get("/v1/models", async () => modelListBody(await cards.of(registry.workers)));
  app.get("/health", async () => ({
    status: "ok",
    workers: registry.workers.length,
    models: registry.models,
    streams: streams.size,
  }));
}
