/** Builds the web server without listening, so that tests can send it requests without a port. */
import { existsSync, realpathSync } from "node:fs";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

import fastifyStatic from "@fastify/static";
import { createServer } from "@llava/server";
import type { ServerOptions } from "@llava/server";
import { LlavaError } from "@llava/protocol";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";

import { watchTurn, type ConversationLog } from "./log/conversation-log.ts";
import { createForwarder } from "./upstream/forward.ts";
import { addPageRoutes } from "./page/page-routes.ts";
import { addSecurityHeaders } from "./security-headers.ts";

/** Largest body of a request: a conversation with several images as base64. */
const MAX_BODY_BYTES = 32 * 1024 * 1024;
const BUILT_PAGE = fileURLToPath(new URL("../../dist/", import.meta.url));

export interface AppOptions {
  /** Address of the controller without a trailing slash. */
  readonly controllerUrl: string;
  readonly logger?: FastifyBaseLogger;
  /** Folder of the built page, which `npm run build` makes. */
  readonly pageFolder?: string;
  /** API key by which the controller knows this server; the browser never receives it. */
  readonly controllerKey?: string;
  /** Log of conversations; absent, none are written. */
  readonly conversations?: ConversationLog;
  /** Options of the HTTP server that differ from those for browsers of the same machine. */
  readonly server?: Partial<ServerOptions>;
}

interface BlobRoute {
  readonly Params: { readonly key: string };
}

/** Throws `not_found` when the page has not been built. */
export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const app = createServer({
    ...(options.logger ? { log: options.logger } : {}),
    // Only the size and the type of a body are checked here; the controller reads it.
    bodies: "bytes",
    bodyLimit: MAX_BODY_BYTES,
    seeAlso: "The page is at /.",
    asksBrowsers: true,
    addFirst: addSecurityHeaders,
    ...options.server,
  });
  addForwarding(app, options);
  await addPage(app, resolve(options.pageFolder ?? BUILT_PAGE));
  app.get("/health", { config: { role: "public" } }, async () => ({ status: "ok" }));
  return app;
}

function addForwarding(
  app: FastifyInstance,
  { controllerUrl, controllerKey, conversations }: AppOptions,
): void {
  const forwarder = createForwarder(controllerUrl, controllerKey);
  let isStopping = false;
  app.addHook("preClose", async () => {
    isStopping = true;
    forwarder.stop();
  });
  app.addHook("onResponse", async (request) => {
    // Otherwise a connection that was busy when the server began to stop would be kept alive for another request.
    if (isStopping) request.raw.socket.end();
  });
  app.addHook("onClose", async () => {
    await forwarder[Symbol.asyncDispose]();
    await conversations?.flush();
  });
  const config = { role: "user" } as const;
  app.post("/v1/chat/completions", { config }, async (request, reply) => {
    if (conversations === undefined) return await forwarder.forward(request, reply);
    const watch = watchTurn(conversations, request);
    return await forwarder.forward(request, reply, (isStream) => {
      const { push, end } = watch(isStream);
      reply.raw.once("close", end);
      return push;
    });
  });
  app.get("/v1/models", { config }, async (request, reply) => forwarder.forward(request, reply));
  app.post("/v1/occlusion_maps", { config }, async (request, reply) => forwarder.forward(request, reply));
  app.head("/v1/blobs/:key", { config }, async (request, reply) => forwarder.forward(request, reply));
  const uploads = { config: { ...config, accepts: ["image/*", "application/octet-stream"] } } as const;
  app.put<BlobRoute>("/v1/blobs/:key", uploads, async (request, reply) => {
    const { body, params } = request;
    reply.raw.once("finish", () => {
      if (reply.statusCode < 300 && Buffer.isBuffer(body)) conversations?.keep(params.key, body);
    });
    return await forwarder.forward(request, reply);
  });
  addPageRoutes(app, { forwarder, ...(conversations === undefined ? {} : { conversations }) });
}

async function addPage(app: FastifyInstance, folder: string): Promise<void> {
  if (!existsSync(join(folder, "index.html"))) {
    throw new LlavaError(
      "not_found",
      `The page is not built: ${folder} has no index.html. Run "npm run build" first.`,
    );
  }
  await app.register(async (page) => {
    page.addHook("onRoute", (route) => {
      route.config = { ...route.config, role: "public" };
    });
    // The page's own addresses all get the same file, whose script reads the address.
    for (const path of ["/c/:id", "/compare", "/cluster"])
      page.get(path, async (_request, reply) => reply.sendFile("index.html"));
    await page.register(fastifyStatic, {
      root: folder,
      allowedPath: (path) => ["", ".br", ".gz"].every((end) => staysInside(folder, path + end)),
      cacheControl: false,
      // The build has made them at the highest compression, so that no visitor waits for one.
      preCompressed: true,
      setHeaders: (reply, path) => {
        // Names under assets/ contain a hash of their content; browsers revalidate all other files.
        const isHashed = path.startsWith(join(folder, "assets"));
        reply.header("cache-control", isHashed ? "public, max-age=31536000, immutable" : "no-cache");
      },
    });
  });
}

/** False where a link leads out of the folder, which the file server would follow. */
function staysInside(folder: string, path: string): boolean {
  try {
    const way = relative(realpathSync(folder), realpathSync(join(folder, path)));
    return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
  } catch {
    // A file that does not exist is not found by the file server either.
    return true;
  }
}
