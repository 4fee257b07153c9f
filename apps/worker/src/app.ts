/** Builds the worker's HTTP server and listens to nothing: limits, ids, error answers and routes in one place. */
import {
  createModelCard,
  errorBody,
  LlavaError,
  modelListBody,
  REQUEST_ID_HEADER,
  requestIdFrom,
  retryHeaders,
  toLlavaError,
} from "@llava/protocol";
import {
  fastify,
  LogController,
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
} from "fastify";
import { addChatRoute } from "./chat-route.ts";
import { addLlavaRoutes } from "./llava-routes.ts";
import type { Service } from "./service.ts";

const MAX_CONTROL_BODY_BYTES = 64 << 10;
const MAX_HEADER_BYTES = 16 << 10;
const MAX_CONNECTIONS = 1_024;
const HEADERS_TIMEOUT_MS = 10_000;
const BODY_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 5_000;

export function buildApp(service: Service, log: FastifyBaseLogger): FastifyInstance {
  const app = fastify({
    loggerInstance: log,
    // Our own line per request (service.ts) says more and never holds a body.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: "requestId" }),
    genReqId: (request) => requestIdFrom(request.headers[REQUEST_ID_HEADER]),
    bodyLimit: MAX_CONTROL_BODY_BYTES,
    requestTimeout: BODY_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
  });
  app.server.maxConnections = MAX_CONNECTIONS;
  app.removeContentTypeParser("text/plain");
  app.addHook("onRequest", async (request, reply) => {
    reply.header(REQUEST_ID_HEADER, request.id);
    if ((request.headers["content-encoding"] ?? "identity") !== "identity")
      throw new LlavaError(
        "unsupported_media_type",
        "Compressed bodies are not read here. Send the body without Content-Encoding.",
      );
  });
  app.setErrorHandler<FastifyError | LlavaError>((thrown, request, reply) => {
    const error = fromFastify(thrown);
    if (error.status === 500) request.log.error({ err: error.cause ?? error }, "request failed");
    return sendError(service, reply, error);
  });
  app.setNotFoundHandler((request, reply) =>
    sendError(
      service,
      reply,
      new LlavaError(
        "not_found",
        `There is no ${request.method} ${request.url.slice(0, 100)} here. See GET /v1/models and POST /v1/chat/completions.`,
      ),
    ),
  );
  addReports(app, service);
  addLlavaRoutes(app, service);
  addChatRoute(app, service);
  return app;
}

function addReports(app: FastifyInstance, service: Service): void {
  app.get("/health", (_request, reply) => {
    const { running, waiting, draining } = service.admission;
    reply.code(draining ? 503 : 200);
    return { status: draining ? "draining" : "ok", model: service.modelName, running, waiting };
  });
  app.get("/v1/models", () => {
    const { contextLength, tokensPerImage, conversation, card } = service.engine.info;
    const facts = { context_length: contextLength, tokens_per_image: tokensPerImage, conversation, card };
    return modelListBody([createModelCard(service.modelName, service.startedS, facts)]);
  });
}

function sendError(service: Service, reply: FastifyReply, error: LlavaError): FastifyReply {
  reply.code(error.status).headers(retryHeaders(error));
  if (error.code === "overloaded") {
    const seconds = service.admission.retryAfterS();
    reply.headers({ "retry-after": String(seconds), "retry-after-ms": String(seconds * 1000) });
  }
  return reply.send(errorBody(error));
}

/** What fastify refuses by itself, in our table's words. */
function fromFastify(thrown: FastifyError | LlavaError): LlavaError {
  if (thrown instanceof LlavaError) return thrown;
  if (thrown.statusCode === 413)
    return new LlavaError(
      "request_too_large",
      "The request is too large for this address. Send fewer or smaller pictures.",
    );
  if (thrown.statusCode === 415)
    return new LlavaError(
      "unsupported_media_type",
      "Only JSON is read here. Send it with content-type: application/json.",
    );
  if (thrown.statusCode === 400)
    return new LlavaError("invalid_request", "The body is not valid JSON. Send one JSON object.");
  return toLlavaError(thrown);
}
