/** Builds the worker's HTTP server, which does not listen yet. */
import { addBlobRoutes, createServer, type ServerOptions } from "@llava/server";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";
import { addChatRoute } from "./routes/chat-route.ts";
import { addLlavaRoutes } from "./routes/worker-llava-routes.ts";
import { addModelRoutes } from "./routes/model-routes.ts";
import type { WorkerService } from "./service/worker-service.ts";
import { addOcclusionRoute } from "./routes/occlusion-route.ts";
import { addTextRoute } from "./routes/text-route.ts";
import { addStatusRoutes } from "./routes/worker-status-routes.ts";

const SEE_ALSO = "See GET /v1/models and POST /v1/chat/completions.";

/** @param options what differs from a server for the programs of this machine */
export function buildApp(
  service: WorkerService,
  log: FastifyBaseLogger,
  options: Partial<ServerOptions> = {},
): FastifyInstance {
  const app = createServer({
    log,
    bodies: "json",
    seeAlso: SEE_ALSO,
    addFirst: service.metrics.metrics.edge.watch,
    retryAfterS: ({ code }) => (code === "overloaded" ? service.retryAfterS() : null),
    ...options,
  });
  addStatusRoutes(app, service);
  addModelRoutes(app, service);
  addBlobRoutes(app, service.images.blobs);
  addLlavaRoutes(app, service);
  addChatRoute(app, service);
  addTextRoute(app, service);
  addOcclusionRoute(app, service);
  return app;
}
