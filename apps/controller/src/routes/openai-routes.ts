/** Adds the endpoints for OpenAI's clients (chat, texts, models) and our occlusion maps beside them. */
import { encodeSseJson, errorBody, LlavaError, modelListBody, SSE_MIGRATED } from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import { errorIn } from "../relay/relayed-answer.ts";
import { MAX_RELAYED_BODY_BYTES } from "../body/request-body.ts";
import type { ControllerMetrics } from "../metrics/controller-metrics.ts";
import type { ModelCards } from "../fleet/model-cards.ts";
import type { Registry } from "../registry/registry.ts";
import { relayHandler, type RelayEndpoint } from "./relay-handler.ts";
import type { RelayLimits } from "../relay/relay-request.ts";
import type { Relay } from "../relay/relay.ts";
import type { OpenStreams } from "../relay/open-streams.ts";

/**
 * A failure is an HTTP status before the first byte and an event after it; the connection is closed in a body that is no
 * stream.
 */
const OPENAI_ENDPOINT: Omit<RelayEndpoint, "path"> = {
  framing: "events",
  isAlwaysStream: false,
  separator: SSE_MIGRATED,
  check: () => undefined,
  failureOf: ({ bytes }) => {
    const data = /^data: ?(.*)$/m.exec(Buffer.from(bytes).toString("utf8"))?.[1] ?? "";
    return errorIn(data);
  },
  refuse: (error) => {
    throw error;
  },
  lastFrame: (error) => encodeSseJson(errorBody(error)),
};

export function addOpenAiRoutes(
  app: FastifyInstance,
  parts: {
    readonly registry: Registry;
    readonly relay: Relay;
    readonly streams: OpenStreams;
    readonly cards: ModelCards;
    readonly limits: RelayLimits;
    readonly metrics: ControllerMetrics;
  },
): void {
  const { registry, cards } = parts;
  const bodyLimit = MAX_RELAYED_BODY_BYTES;
  for (const path of ["/v1/chat/completions", "/v1/completions"]) {
    const handler = relayHandler(parts, { ...OPENAI_ENDPOINT, path });
    app.post(path, { bodyLimit, config: { role: "user" } }, handler);
  }
  // Always a stream, whatever the body asks for, and without tokens from which another worker could go on.
  const mapped = relayHandler(parts, {
    ...OPENAI_ENDPOINT,
    path: "/v1/occlusion_maps",
    isAlwaysStream: true,
  });
  app.post("/v1/occlusion_maps", { bodyLimit, config: { role: "user" } }, mapped);
  app.get("/v1/models", { config: { role: "user" } }, async () =>
    modelListBody(await cards.of(registry.workers)),
  );
  // A wildcard, as a model's name may have slashes in it.
  app.get<{ Params: { "*": string } }>("/v1/models/*", { config: { role: "user" } }, async ({ params }) => {
    const name = params["*"];
    const card = (await cards.of(registry.workers)).find(({ id }) => id === name);
    if (card !== undefined) return card;
    const sentence = `No worker serves ${name.slice(0, 256)} now. See GET /v1/models.`;
    throw new LlavaError("model_not_found", sentence, { param: "model" });
  });
}
