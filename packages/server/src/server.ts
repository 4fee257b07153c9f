/** Makes the HTTP servers of controller, worker and web server, with all checks that run before their routes. */
import { LlavaError, REQUEST_ID_HEADER, requestIdFrom } from "@llava/protocol";
import {
  fastify,
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { LOOPBACK_ONLY, type Access } from "./auth/access.ts";
import { endLateBodies, readBodies, type BodyLimits } from "./body-limit.ts";
import { principalOf, checkRole, identify } from "./auth/identity.ts";
import {
  CLIENT_LIMITS,
  createClientTable,
  type ClientLimits,
  type RateLimitState,
} from "./limits/rate-limit.ts";
import { createVerifier } from "./auth/signed-requests.ts";
import { limitConnections, type ConnectionLimits } from "./limits/connections.ts";
import { isOwnHost, isOwnOrigin } from "./network/hosts.ts";
import { answerClientError, setErrorHandlers, headersTooLarge, setRetryAfter } from "./error-handler.ts";
import { requireRoles } from "./auth/roles.ts";

export interface ServerOptions {
  readonly log?: FastifyBaseLogger;
  readonly access?: Access;
  readonly bodies: "bytes" | "json";
  /** Largest body in bytes where the route names no other limit. */
  readonly bodyLimit?: number;
  /** Names of the server that requests may use, beside those of this machine. */
  readonly hosts?: readonly string[];
  /** Limits of each client; null takes the defaults, which leave out clients of this machine without a key. */
  readonly clients?: Partial<ClientLimits> | null;
  readonly connections?: Partial<ConnectionLimits>;
  readonly timeouts?: Partial<Timeouts>;
  /** End of the sentence for addresses that do not exist. */
  readonly seeAlso: string;
  /** Seconds after which a retry can succeed; null leaves the headers that the error table gives. */
  readonly retryAfterS?: (error: LlavaError) => number | null;
  /** Adds hooks that must run before any that can refuse. */
  readonly addFirst?: (app: FastifyInstance) => void;
  /** Whether browsers ask their user for the key. */
  readonly asksBrowsers?: boolean;
}

export interface Timeouts {
  /** Time for the head of a request to come, also on a new connection. */
  readonly headersMs: number;
  readonly body: BodyLimits;
  readonly keepAliveMs: number;
}

const MAX_CONTROL_BODY_BYTES = 64 << 10;

const TIMEOUTS: Timeouts = {
  headersMs: 10_000,
  // 1 Mbit/s: 32 MiB then get 30 s and four and a half minutes.
  body: { timeoutMs: 30_000, bytesPerSecond: 125_000 },
  keepAliveMs: 5_000,
};
const CONNECTIONS: ConnectionLimits = { total: 2_000, perAddress: 64 };
const MAX_HEADER_BYTES = 16 << 10;
const MAX_HEADERS = 100;
const MAX_URL_LENGTH = 8 << 10;
const MAX_REQUESTS_PER_SOCKET = 1_000;
const UNAUTHORIZED_LOG_MS = 10_000;

export function createServer(options: ServerOptions): FastifyInstance {
  const timeouts = { ...TIMEOUTS, ...options.timeouts };
  const app: FastifyInstance = fastify({
    ...(options.log ? { loggerInstance: options.log } : {}),
    // Each server logs a line of its own per request, which has more fields and never a body.
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: "requestId",
    }),
    genReqId: (request) => requestIdFrom(request.headers[REQUEST_ID_HEADER]),
    requestIdHeader: false,
    bodyLimit: options.bodyLimit ?? MAX_CONTROL_BODY_BYTES,
    keepAliveTimeout: timeouts.keepAliveMs,
    maxRequestsPerSocket: MAX_REQUESTS_PER_SOCKET,
    forceCloseConnections: "idle",
    return503OnClosing: false,
    clientErrorHandler: answerClientError,
    http: {
      headersTimeout: timeouts.headersMs,
      // Bodies have their own time limit, by their size (body-limit.ts).
      requestTimeout: 0,
      connectionsCheckingInterval: Math.min(1_000, timeouts.headersMs),
      maxHeaderSize: MAX_HEADER_BYTES,
    },
  });
  // Node drops further headers silently, so that this must be more than the number that is refused.
  app.server.maxHeadersCount = 2 * MAX_HEADERS;
  limitConnections(app.server, { ...CONNECTIONS, ...options.connections });
  requireRoles(app);
  options.addFirst?.(app);
  endLateBodies(app, timeouts.body);
  app.addHook("onRequest", async (request, reply) => {
    reply.header(REQUEST_ID_HEADER, request.id);
    checkHead(request);
  });
  authorizeRequests(app, options);
  readBodies(app, options.bodies);
  limitClients(app, options.clients ?? null);
  setErrorHandlers(app, options);
  return app;
}

function checkHead(request: FastifyRequest): void {
  if (request.raw.rawHeaders.length > 2 * MAX_HEADERS) {
    throw headersTooLarge(`The request has more than ${MAX_HEADERS} headers`);
  }
  if ((request.raw.url ?? "").length > MAX_URL_LENGTH) {
    throw headersTooLarge(`The address is longer than ${MAX_URL_LENGTH} characters`);
  }
}

/** Denies by default, before the body is read: checks the principal, the name of the host, the page and the role. */
function authorizeRequests(app: FastifyInstance, options: ServerOptions): void {
  const access = options.access ?? LOOPBACK_ONLY;
  const hosts = options.hosts ?? [];
  const verifier = access.token === null ? null : createVerifier(access.token);
  // Kept, because each look is a system call.
  let boundTo: string | null = null;
  app.server.on("listening", () => (boundTo = boundAddress(app)));
  const logUnauthorized = createUnauthorizedLog(options.log);
  app.addHook("onRequest", async (request) => {
    const role = request.is404 ? "public" : (request.routeOptions.config.role ?? "user");
    try {
      const principal = identify(request, access, verifier);
      if (principal.usesAmbientCredentials) checkPage(request, boundTo, hosts);
      checkRole(principal, role, access);
    } catch (thrown) {
      if (role === "cluster") logUnauthorized(request);
      throw thrown;
    }
  });
}

/** Refuses requests of foreign pages in a browser of this machine, or in one that has the password. */
function checkPage(request: FastifyRequest, boundTo: string | null, hosts: readonly string[]): void {
  const { host, origin } = request.headers;
  if (!isOwnHost(host, boundTo, hosts)) {
    throw new LlavaError(
      "forbidden",
      `The server is not known as ${JSON.stringify(host?.slice(0, 100))}. Start it with --allowed-host and this name if it is.`,
    );
  }
  const isReading = request.method === "GET" || request.method === "HEAD";
  if (isReading || isOwnOrigin(origin, host, hosts)) return;
  throw new LlavaError(
    "forbidden",
    `A page of ${JSON.stringify(origin?.slice(0, 100))} may not ask this server. Use the server's own page or an API key.`,
  );
}

function boundAddress(app: FastifyInstance): string | null {
  const bound = app.server.address();
  return bound === null || typeof bound === "string" ? null : bound.address;
}

/** Counts requests that cause work; reading is free, and peers and gateways count their own clients. */
function limitClients(app: FastifyInstance, limits: Partial<ClientLimits> | null): void {
  const all = { ...CLIENT_LIMITS, ...limits };
  const table = createClientTable(all);
  app.addHook("onRequest", async (request, reply) => {
    const principal = principalOf(request);
    if (request.is404 || request.method === "GET" || request.method === "HEAD") return;
    if (request.routeOptions.config.role !== "user" || principal === null || principal.isUnlimited) return;
    if (limits === null && principal.kind === "anonymous" && principal.isLocal) return;
    const place = table.admit(principal.name);
    setRateLimitHeaders(reply, all, place);
    if ("error" in place) {
      setRetryAfter(reply, place.retryAfterMs);
      throw place.error;
    }
    // `close` comes for responses that were sent, broken off or never begun.
    reply.raw.once("close", place.release);
  });
}

/** Sets the headers of OpenAI's API. The limit is the burst, because the remaining requests count down from it. */
function setRateLimitHeaders(
  reply: FastifyReply,
  { burst }: ClientLimits,
  { numLeft, fullInMs }: RateLimitState,
): void {
  // On the raw response, so that routes that write it by themselves send them, too.
  reply.raw.setHeader("x-ratelimit-limit-requests", burst);
  reply.raw.setHeader("x-ratelimit-remaining-requests", numLeft);
  reply.raw.setHeader("x-ratelimit-reset-requests", `${fullInMs / 1000}s`);
}

/** Logs refused requests to the cluster's routes, at most one line in a while, so that they cannot fill the log. */
function createUnauthorizedLog(log: FastifyBaseLogger | undefined): (request: FastifyRequest) => void {
  let count = 0;
  let nextMs = 0;
  return (request) => {
    count += 1;
    if (performance.now() < nextMs) return;
    nextMs = performance.now() + UNAUTHORIZED_LOG_MS;
    log?.warn(
      { address: request.raw.socket.remoteAddress, count },
      "request without the cluster's signature refused",
    );
    count = 0;
  };
}
