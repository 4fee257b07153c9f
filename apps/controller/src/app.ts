/** The controller as a server that listens to nothing yet, so that tests and `main.ts` build the same one. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  errorBody,
  HEARTBEAT_EXPIRY_MS,
  LlavaError,
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
} from "fastify";
import { MAX_CONTROL_BODY_BYTES, readBodiesAsBytes } from "./body.ts";
import type { DispatchMethod } from "./dispatch.ts";
import { Fleet } from "./fleet.ts";
import { addLlavaRoutes } from "./llava-routes.ts";
import { ModelCards } from "./model-cards.ts";
import { addOpenAiRoutes } from "./openai-routes.ts";
import { Registry } from "./registry.ts";
import { Relay } from "./relay.ts";
import { Streams } from "./streams.ts";
import { WorkerClient } from "./worker-client.ts";

export interface ControllerOptions {
  readonly dispatchMethod?: DispatchMethod;
  readonly heartbeatExpiryMs?: number;
  readonly log: FastifyBaseLogger;
}

export interface Controller {
  readonly app: FastifyInstance;
  /** Takes no new requests, lets answers under way end within `graceMs`, then tells the rest and closes everything. */
  readonly shutdown: (graceMs: number) => Promise<void>;
}

/** Longest time a client may take to send its headers, and its whole request: 32 MiB at 1 Mbit/s take 4.5 minutes. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 300_000;
const MAX_HEADER_BYTES = 16 << 10;
const MAX_CONNECTIONS = 2_000;
/** For the last events of answers that the shutdown ended. */
const LAST_WORDS_MS = 1_000;

export function createController(options: ControllerOptions): Controller {
  const { dispatchMethod = "shortest_queue", heartbeatExpiryMs = HEARTBEAT_EXPIRY_MS, log } = options;
  const registry = new Registry({
    dispatchMethod,
    expiryMs: heartbeatExpiryMs,
    now: performance.now.bind(performance),
    random: Math.random,
  });
  const client = new WorkerClient();
  const fleet = new Fleet(registry, client, log);
  const relay = new Relay(fleet, client);
  const streams = new Streams();
  const cards = new ModelCards(client, log);
  const app = createServer(log);
  const refuseNew = refuseWhenClosing(app);
  readBodiesAsBytes(app);
  addLlavaRoutes(app, { registry, fleet, relay, streams });
  addOpenAiRoutes(app, { registry, relay, streams, cards });
  fleet.start();
  const shutdown = async (graceMs: number): Promise<void> => {
    refuseNew();
    fleet.stop();
    const closed = app.close();
    await within(graceMs, streams.allEnded());
    streams.abortAll(new LlavaError("shutting_down", "The controller is stopping; ask again in a moment."));
    await within(LAST_WORDS_MS, streams.allEnded());
    app.server.closeAllConnections();
    await closed;
    await client.close();
  };
  return { app, shutdown };
}

function createServer(log: FastifyBaseLogger): FastifyInstance {
  const app = fastify({
    loggerInstance: log,
    // One line of ours per relayed request (relay-route.ts) says more and never holds a body.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: "requestId" }),
    genReqId: (request) => requestIdFrom(request.headers[REQUEST_ID_HEADER]),
    requestIdHeader: false,
    bodyLimit: MAX_CONTROL_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: "idle",
    return503OnClosing: false,
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
  });
  app.server.maxConnections = MAX_CONNECTIONS;
  app.addHook("onRequest", async (request, reply) => {
    reply.header(REQUEST_ID_HEADER, request.id);
  });
  app.setErrorHandler(async (thrown: FastifyError, request, reply) => {
    const error = fromFramework(thrown);
    if (error.status >= 500) request.log.error({ err: thrown, code: error.code }, "request failed");
    return reply.status(error.status).headers(retryHeaders(error)).send(errorBody(error));
  });
  app.setNotFoundHandler(async (request) => {
    const place = JSON.stringify(`${request.method} ${request.url}`.slice(0, 120));
    throw new LlavaError(
      "not_found",
      `There is no ${place} here. See GET /v1/models, POST /v1/chat/completions and POST /list_models.`,
    );
  });
  return app;
}

/** The framework's own refusals in our table's terms. */
function fromFramework(thrown: FastifyError): LlavaError {
  if (thrown.code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return new LlavaError(
      "request_too_large",
      "The body is larger than this endpoint takes; send fewer or smaller pictures.",
    );
  }
  if (thrown.statusCode === 415)
    return new LlavaError("unsupported_media_type", "Send JSON with content-type: application/json.");
  if (thrown.statusCode === 400)
    return new LlavaError("invalid_request", `The request cannot be read: ${thrown.message}.`);
  return toLlavaError(thrown);
}

/** Once the returned function was called, requests on connections that are still open are refused. */
function refuseWhenClosing(app: FastifyInstance): () => void {
  let isClosing = false;
  app.addHook("onRequest", async (_request, reply) => {
    if (!isClosing) return;
    reply.header("connection", "close");
    throw new LlavaError("shutting_down", "The controller is stopping; ask again in a moment.");
  });
  return () => {
    isClosing = true;
  };
}

/** Waits for `ended`, but no longer than `ms`. */
async function within(ms: number, ended: Promise<void>): Promise<void> {
  const patience = new AbortController();
  const deadline = sleep(ms, undefined, { signal: patience.signal }).catch(() => undefined);
  await Promise.race([ended, deadline]);
  patience.abort();
}
