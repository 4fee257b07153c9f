/** The endpoints for operators and load balancers: health, readiness, properties, slots and metrics, as llama-server has them. */
import { addMetricsRoute, version } from "@llava/server";
import { errorBody, LlavaError, retryHeaders } from "@llava/protocol";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { WorkerService } from "../service/worker-service.ts";

export function addStatusRoutes(app: FastifyInstance, service: WorkerService): void {
  app.get("/health", { config: { role: "public" } }, (_request, reply) => health(service, reply));
  app.get("/ready", { config: { role: "public" } }, () => {
    requireReady(service);
    return { status: "ready", model: service.modelName };
  });
  app.get("/props", { config: { role: "user" } }, () => props(service));
  app.get<{ Querystring: Readonly<Record<string, unknown>> }>(
    "/slots",
    { config: { role: "admin" } },
    ({ query }, reply) => slots(service, query["fail_on_no_slot"] === "1", reply),
  );
  addMetricsRoute(app, service.metrics.metrics);
}

/** 503 while it loads and while it drains, with an error beside the figures, so that programs and people understand it. */
function health(service: WorkerService, reply: FastifyReply): object {
  const { state, modelName, load, loadProgress } = service;
  const figures = { model: modelName, ...load };
  const error = notReady(service);
  if (error === null) return { status: "ok", ...figures };
  reply.code(error.status).headers(retryHeaders(error));
  const progress = state === "loading" ? { progress: loadProgress } : {};
  return { status: state, ...figures, ...progress, ...errorBody(error) };
}

function requireReady(service: WorkerService): void {
  const error = notReady(service);
  if (error !== null) throw error;
}

function notReady(service: WorkerService): LlavaError | null {
  if (service.state === "loading") return service.loadingError();
  if (service.state === "ready") return null;
  return new LlavaError("shutting_down", "The worker is stopping and takes no new requests.");
}

/** llama-server's fields as far as they mean something here; the folder of the model stays private. */
function props({ backend, modelName, startedS }: WorkerService): object {
  const { contextLength, tokensPerImage, conversation } = backend.card;
  return {
    default_generation_settings: {
      n_ctx: contextLength,
      // Defaults of a request; -1 goes as far as the context.
      params: { temperature: 1, top_p: 1, top_k: 0, n_predict: -1 },
    },
    total_slots: backend.occupancy.slots,
    model_alias: modelName,
    // A name of LLaVA's conversation table, not a program.
    chat_template: conversation,
    modalities: { vision: backend.capabilities.vision, audio: false },
    media_marker: "<image>",
    tokens_per_image: tokensPerImage,
    build_info: `llava ${version()}`,
    started: startedS,
    is_sleeping: false,
  };
}

/** One entry for each request that the model can work on at once, those at work first. */
function slots({ backend }: WorkerService, failsWithoutSlot: boolean, reply: FastifyReply): object {
  const { occupancy, sequences, card } = backend;
  const numSlots = occupancy.slots;
  if (failsWithoutSlot && occupancy.running >= numSlots) {
    const error = new LlavaError("overloaded", `All ${numSlots} slots are busy. Ask again in a moment.`);
    // llama-server's status, by which load balancers look elsewhere; the table's 429 would blame the client.
    reply.code(503).headers(retryHeaders(error));
    return errorBody(error);
  }
  if (sequences === undefined)
    throw new LlavaError(
      "not_found",
      "The backend of this worker does not report its slots; see GET /metrics.",
    );
  return Array.from({ length: numSlots }, (_, id) => {
    const common = { id, n_ctx: card.contextLength, speculative: false };
    const busy = sequences[id];
    if (busy === undefined) return { ...common, is_processing: false };
    const { promptTokens, cachedTokens, generatedTokens, maxTokens } = busy;
    const left = Math.max(0, maxTokens - generatedTokens);
    return {
      ...common,
      is_processing: true,
      n_prompt_tokens: promptTokens,
      n_past: cachedTokens,
      params: { n_predict: maxTokens },
      next_token: { has_next_token: left > 0, n_remain: left, n_decoded: generatedTokens },
    };
  });
}
