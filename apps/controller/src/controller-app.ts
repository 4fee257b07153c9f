/** Builds the controller as a server that does not listen yet, so that tests and `main.ts` build the same one. */
import {
  addBlobRoutes,
  BlobStore,
  createAddressCheck,
  createServer,
  LOOPBACK_ONLY,
  type Access,
  type ServerOptions,
} from "@llava/server";
import { HEARTBEAT_EXPIRY_MS } from "@llava/protocol";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";
import { limitBodies } from "./body/body-budget.ts";
import { ClusterHistory } from "./history/cluster-history.ts";
import type { DispatchMethod } from "./registry/dispatch.ts";
import { Fleet } from "./fleet/fleet.ts";
import { addLlavaRoutes } from "./routes/llava-routes.ts";
import { ModelCards } from "./fleet/model-cards.ts";
import { addOpenAiRoutes } from "./routes/openai-routes.ts";
import { Registry } from "./registry/registry.ts";
import type { EnsureBlobs } from "./relay/relay-attempt.ts";
import { RELAY_LIMITS, type RelayLimits } from "./relay/relay-request.ts";
import { Relay } from "./relay/relay.ts";
import { createControllerMetrics } from "./metrics/controller-metrics.ts";
import { prepareShutdown } from "./drain-requests.ts";
import { OpenStreams } from "./relay/open-streams.ts";
import { addStatusRoutes } from "./routes/status-routes.ts";
import { WorkerBlobs } from "./fleet/worker-blobs.ts";
import { WorkerClient } from "./fleet/worker-client.ts";

export interface ControllerOptions {
  readonly dispatchMethod?: DispatchMethod;
  readonly heartbeatExpiryMs?: number;
  /** The networks in which the addresses of workers must lie; anywhere when there are none. */
  readonly workerNetworks?: readonly string[];
  /** The limits of relayed requests, where they differ from `RELAY_LIMITS`. */
  readonly limits?: Partial<RelayLimits>;
  readonly log: FastifyBaseLogger;
  /** Which clients it serves; only programs of this machine when absent. */
  readonly access?: Access;
  /** The options of the HTTP server, where they differ from its defaults. */
  readonly server?: Partial<ServerOptions>;
}

export interface Controller {
  readonly app: FastifyInstance;
  /** Takes no new requests, lets answers under way end within `graceMs`, then ends the others with an error and closes. */
  readonly shutdown: (graceMs: number) => Promise<void>;
}

const SEE_ALSO = "See GET /v1/models, POST /v1/chat/completions and POST /list_models.";

export function createController(options: ControllerOptions): Controller {
  const { dispatchMethod = "shortest_queue", heartbeatExpiryMs = HEARTBEAT_EXPIRY_MS, log } = options;
  const access = options.access ?? LOOPBACK_ONLY;
  const registry = new Registry({
    dispatchMethod,
    expiryMs: heartbeatExpiryMs,
    now: performance.now.bind(performance),
    random: Math.random,
  });
  const history = new ClusterHistory({
    queue: () => registry.queue,
    now: performance.now.bind(performance),
    wallClock: Date.now,
  });
  const client = new WorkerClient(access.token);
  const fleet = new Fleet(
    registry,
    client,
    log,
    history,
    access.token,
    createAddressCheck(options.workerNetworks ?? []),
  );
  const limits = { ...RELAY_LIMITS, ...options.limits };
  const blobs = new BlobStore();
  const workerBlobs = new WorkerBlobs(blobs, client);
  const ensureBlobs: EnsureBlobs = workerBlobs.ensure.bind(workerBlobs);
  const relay = new Relay(fleet, client, ensureBlobs, history, limits);
  const metrics = createControllerMetrics(registry, (worker) => relay.breakerOf(worker), history);
  const streams = new OpenStreams(limits.totalMs);
  const cards = new ModelCards(client, log);
  const addFirst = metrics.metrics.edge.watch;
  const app = createServer({ log, access, bodies: "bytes", seeAlso: SEE_ALSO, addFirst, ...options.server });
  const stop = prepareShutdown(app, streams);
  limitBodies(app, limits.bodiesBytes);
  addLlavaRoutes(app, { registry, fleet, relay, streams, limits, metrics });
  addOpenAiRoutes(app, { registry, relay, streams, cards, limits, metrics });
  addBlobRoutes(app, blobs);
  addStatusRoutes(app, { registry, relay, streams, metrics: metrics.metrics, history });
  fleet.start();
  history.start();
  const shutdown = async (graceMs: number): Promise<void> => {
    fleet.stop();
    history.stop();
    await stop(graceMs);
    await client.close();
  };
  return { app, shutdown };
}
