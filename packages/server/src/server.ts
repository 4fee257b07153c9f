/** The one construction of an HTTP server: everything that stands before a route of controller, worker and web server. */
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
import { callerOf, checkRole, identify } from "./auth/identity.ts";
import { CLIENT_LIMITS, createClientTable, type ClientLimits, type Standing } from "./limits/rate-limit.ts";
import { createVerifier } from "./auth/signed-requests.ts";
import { limitConnections, type ConnectionLimits } from "./limits/connections.ts";
import { isOwnHost, isOwnOrigin } from "./auth/hosts.ts";
import { answerClientError, answerFailures, headersTooLarge, setRetryAfter } from "./error-handler.ts";
import { requireRoles } from "./auth/roles.ts";

export interface ServerOptions {
  readonly log?: FastifyBaseLogger;
  readonly access?: Access;
  readonly bodies: "bytes" | "json";
  /** Bytes of a body where the route names no other limit. */
  readonly bodyLimit?: number;
  /** Names by which it may be asked for beside this machine's own. */
  readonly hosts?: readonly string[];
  /** Null is the table's default, which does not count who is on this machine and has no key; a value counts them too. */
  readonly clients?: Partial<ClientLimits> | null;
  readonly connections?: Partial<ConnectionLimits>;
  readonly timeouts?: Partial<Timeouts>;
  /** The end of the sentence for addresses that do not exist. */
  readonly seeAlso: string;
  /** When asking again can help, in seconds; null leaves the table's word. */
  readonly retryAfterS?: (error: LlavaError) => number | null;
  /** Hooks that must run before any that can refuse. */
  readonly addFirst?: (app: FastifyInstance) => void;
  /** Lets browsers ask their user for the key. */
  readonly asksBrowsers?: boolean;
}

export interface Timeouts {
  /** For the head of a request to come, on a new connection too. */
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
const STRANGER_LOG_MS = 10_000;

export function createServer(options: ServerOptions): FastifyInstance {
  const timeouts = { ...TIMEOUTS, ...options.timeouts };
  const app: FastifyInstance = fastify({
    ...(options.log ? { loggerInstance: options.log } : {}),
    // The servers' own line per request says more and never holds a body.
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
      // Bodies have their own time limit, by their size (body.ts).
      requestTimeout: 0,
      connectionsCheckingInterval: Math.min(1_000, timeouts.headersMs),
      maxHeaderSize: MAX_HEADER_BYTES,
    },
  });
  // Node drops what is beyond this without a word, so it must be more than we refuse.
  app.server.maxHeadersCount = 2 * MAX_HEADERS;
  limitConnections(app.server, { ...CONNECTIONS, ...options.connections });
  requireRoles(app);
  options.addFirst?.(app);
  endLateBodies(app, timeouts.body);
  app.addHook("onRequest", async (request, reply) => {
    reply.header(REQUEST_ID_HEADER, request.id);
    checkHead(request);
  });
  checkCallers(app, options);
  readBodies(app, options.bodies);
  limitClients(app, options.clients ?? null);
  answerFailures(app, options);
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

/** Default deny, before any of the body is read: who is it, may it ask by this name, from that page, for this. */
function checkCallers(app: FastifyInstance, options: ServerOptions): void {
  const access = options.access ?? LOOPBACK_ONLY;
  const hosts = options.hosts ?? [];
  const verifier = access.token === null ? null : createVerifier(access.token);
  // Asked for once: it is a question to the system each time.
  let boundTo: string | null = null;
  app.server.on("listening", () => (boundTo = boundAddress(app)));
  const noteStranger = strangerLog(options.log);
  app.addHook("onRequest", async (request) => {
    const role = request.is404 ? "public" : (request.routeOptions.config.role ?? "user");
    try {
      const caller = identify(request, access, verifier);
      if (caller.isAmbient) checkPage(request, boundTo, hosts);
      checkRole(caller, role, access);
    } catch (thrown) {
      if (role === "cluster") noteStranger(request);
      throw thrown;
    }
  });
}

/** Keeps foreign pages out that a browser on this machine, or one with a password, shows. */
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

/** Counts what clients ask to be done; reading lists is free, peers and gateways count their own clients. */
function limitClients(app: FastifyInstance, limits: Partial<ClientLimits> | null): void {
  const all = { ...CLIENT_LIMITS, ...limits };
  const table = createClientTable(all);
  app.addHook("onRequest", async (request, reply) => {
    const caller = callerOf(request);
    if (request.is404 || request.method === "GET" || request.method === "HEAD") return;
    if (request.routeOptions.config.role !== "user" || caller === null || caller.isUnlimited) return;
    if (limits === null && caller.kind === "anonymous" && caller.isLocal) return;
    const place = table.admit(caller.name);
    tellStanding(reply, all, place);
    if ("error" in place) {
      setRetryAfter(reply, place.retryAfterMs);
      throw place.error;
    }
    // The response's close, which comes for answers that were sent, broken off or never begun.
    reply.raw.once("close", place.release);
  });
}

/** By OpenAI's names. The limit is what can be asked at once, for only of that can something be left. */
function tellStanding(reply: FastifyReply, { burst }: ClientLimits, { numLeft, fullInMs }: Standing): void {
  // On the answer itself, so that routes that write it by themselves send them, too.
  reply.raw.setHeader("x-ratelimit-limit-requests", burst);
  reply.raw.setHeader("x-ratelimit-remaining-requests", numLeft);
  reply.raw.setHeader("x-ratelimit-reset-requests", `${fullInMs / 1000}s`);
}

/** A line for strangers at the cluster's doors, at most one in a while, so that they cannot fill the log. */
function strangerLog(log: FastifyBaseLogger | undefined): (request: FastifyRequest) => void {
  let count = 0;
  let nextMs = 0;
  return (request) => {
    count += 1;
    if (performance.now() < nextMs) return;
    nextMs = performance.now() + STRANGER_LOG_MS;
    log?.warn(
      { address: request.raw.socket.remoteAddress, count },
      "request without the cluster's signature refused",
    );
    count = 0;
  };
}
