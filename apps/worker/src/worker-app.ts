/** Builds the worker's HTTP server and listens to nothing: door and routes in one place. */
import { addBlobRoutes, createServer, type ServerOptions } from "@llava/server";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";
import { addChatRoute } from "./routes/chat-route.ts";
import { addLlavaRoutes } from "./routes/worker-llava-routes.ts";
import { addModelRoutes } from "./routes/model-routes.ts";
import type { Service } from "./service/worker-service.ts";
import { addOcclusionRoute } from "./routes/occlusion-route.ts";
import { addTextRoute } from "./routes/text-route.ts";
import { addWatchRoutes } from "./routes/worker-status-routes.ts";

const SEE_ALSO = "See GET /v1/models and POST /v1/chat/completions.";

/** `door` says where it differs from what programs of this machine get. */
export function buildApp(
  service: Service,
  log: FastifyBaseLogger,
  door: Partial<ServerOptions> = {},
): FastifyInstance {
  const app = createServer({
    log,
    bodies: "json",
    seeAlso: SEE_ALSO,
    addFirst: service.metrics.metrics.edge.watch,
    retryAfterS: ({ code }) => (code === "overloaded" ? service.admission.retryAfterS() : null),
    ...door,
  });
  addWatchRoutes(app, service);
  addModelRoutes(app, service);
  addBlobRoutes(app, service.images.blobs);
  addLlavaRoutes(app, service);
  addChatRoute(app, service);
  addTextRoute(app, service);
  addOcclusionRoute(app, service);
  return app;
}
