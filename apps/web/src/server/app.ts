/** Builds the web server and listens to nothing, so that tests can ask it without a port. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import fastifyStatic from "@fastify/static";
import {
  LlavaError,
  REQUEST_ID_HEADER,
  errorBody,
  requestIdFrom,
  retryHeaders,
  toLlavaError,
} from "@llava/protocol";
import fastify, { LogController } from "fastify";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";

import { createForwarder } from "./forward.ts";
import { addSecurityHeaders } from "./security-headers.ts";

/** Room for a conversation with several pictures as base64. */
const MAX_BODY_BYTES = 32 * 1024 * 1024;
const BUILT_PAGE = fileURLToPath(new URL("../../dist/", import.meta.url));

export interface AppOptions {
  /** Without a slash at the end. */
  readonly controllerUrl: string;
  readonly logger?: FastifyBaseLogger;
  /** Where the built page lies; `npm run build` makes it. */
  readonly pageFolder?: string;
}

/** Throws `not_found` when the page was never built. */
export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const app: FastifyInstance = fastify({
    ...(options.logger ? { loggerInstance: options.logger } : {}),
    bodyLimit: MAX_BODY_BYTES,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: "idle",
    genReqId: (request) => requestIdFrom(request.headers[REQUEST_ID_HEADER]),
  });
  addSecurityHeaders(app);
  addErrors(app);
  addForwarding(app, options.controllerUrl);
  await addPage(app, resolve(options.pageFolder ?? BUILT_PAGE));
  app.get("/health", async () => ({ status: "ok" }));
  return app;
}

function addForwarding(app: FastifyInstance, controllerUrl: string): void {
  const forwarder = createForwarder(controllerUrl);
  let isStopping = false;
  app.addHook("preClose", async () => {
    isStopping = true;
    forwarder.stop();
  });
  app.addHook("onResponse", async (request) => {
    // A connection that was busy when the server began to stop would be kept alive for a next request.
    if (isStopping) request.raw.socket.end();
  });
  app.addHook("onClose", async () => forwarder[Symbol.asyncDispose]());
  app.addHook("onSend", async (request, reply) => {
    reply.header(REQUEST_ID_HEADER, request.id);
  });
  // The body is the controller's to read; here only its size and type count.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    "application/json",
    { parseAs: "buffer" },
    async (_request: unknown, body: Buffer) => body,
  );
  app.post("/v1/chat/completions", async (request, reply) => forwarder.forward(request, reply));
  app.get("/v1/models", async (request, reply) => forwarder.forward(request, reply));
}

async function addPage(app: FastifyInstance, folder: string): Promise<void> {
  if (!existsSync(join(folder, "index.html"))) {
    throw new LlavaError(
      "not_found",
      `The page is not built: ${folder} has no index.html. Run "npm run build" first.`,
    );
  }
  await app.register(fastifyStatic, {
    root: folder,
    cacheControl: false,
    setHeaders: (reply, path) => {
      // Names under assets/ carry a hash of their content; everything else is asked for again.
      const isHashed = path.startsWith(join(folder, "assets"));
      reply.header("cache-control", isHashed ? "public, max-age=31536000, immutable" : "no-cache");
    },
  });
}

function addErrors(app: FastifyInstance): void {
  app.setNotFoundHandler(async (request) => {
    throw new LlavaError("not_found", `There is nothing at ${request.method} ${request.url.slice(0, 200)}.`);
  });
  app.setErrorHandler(async (thrown, request, reply) => {
    const error = asLlavaError(thrown);
    if (error.status >= 500) request.log.error({ err: thrown, code: error.code }, error.message);
    return reply.code(error.status).headers(retryHeaders(error)).send(errorBody(error));
  });
}

/** fastify's own refusals in the words and codes of the table. */
function asLlavaError(thrown: unknown): LlavaError {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    const megabytes = MAX_BODY_BYTES / 1024 / 1024;
    const sentence = `The request is larger than ${megabytes} MiB. Send fewer or smaller pictures.`;
    return new LlavaError("request_too_large", sentence, { cause: thrown });
  }
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") {
    const sentence = "The body must be JSON, with the header content-type: application/json.";
    return new LlavaError("unsupported_media_type", sentence, { cause: thrown });
  }
  if (code === "FST_ERR_CTP_EMPTY_JSON_BODY" || code === "FST_ERR_CTP_INVALID_CONTENT_LENGTH") {
    const sentence = "The length of the body is not what its header says. Send the request again.";
    return new LlavaError("invalid_request", sentence, { cause: thrown });
  }
  return toLlavaError(thrown);
}
