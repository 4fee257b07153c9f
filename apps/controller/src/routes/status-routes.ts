/** Adds the endpoints that show the controller's state: health, readiness, its workers, the cluster's history, metrics. */
import { addMetricsRoute, version, type Metrics } from "@llava/server";
import type { Cluster, WorkerList, WorkerView } from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import type { ClusterHistory } from "../history/cluster-history.ts";
import { noModels } from "../relay/no-worker.ts";
import type { Registry, Worker } from "../registry/registry.ts";
import type { Relay } from "../relay/relay.ts";
import type { OpenStreams } from "../relay/open-streams.ts";

export interface StatusParts {
  readonly registry: Registry;
  readonly relay: Relay;
  readonly streams: OpenStreams;
  readonly metrics: Metrics;
  readonly history: ClusterHistory;
}

export function addStatusRoutes(app: FastifyInstance, parts: StatusParts): void {
  const { registry, relay, streams, metrics } = parts;
  app.get("/health", { config: { role: "public" } }, async () => ({
    status: "ok",
    workers: registry.workers.length,
    models: registry.models,
    streams: streams.size,
  }));
  // A controller whose workers all are gone or keep failing is alive and cannot answer any request.
  app.get("/ready", { config: { role: "public" } }, async () => {
    const fit = registry.workers.filter((worker) => relay.wouldAsk(worker));
    const models = registry.models.filter((model) => fit.some((worker) => worker.models.includes(model)));
    if (models.length === 0) throw noModels();
    return { status: "ready", models };
  });
  app.get("/workers", { config: { role: "admin" } }, async () => workersBody(parts));
  app.get("/cluster", { config: { role: "admin" } }, async () => clusterBody(parts));
  addMetricsRoute(app, metrics);
}

function clusterBody(parts: StatusParts): Cluster {
  const { controller, data } = workersBody(parts);
  const { totals, pending, series, events } = parts.history;
  return {
    object: "cluster",
    controller,
    now_ms: Date.now(),
    workers: data,
    totals,
    unanswered: pending.shown,
    series,
    events,
  };
}

/** The answer of `GET /workers`, which `llava ps` shows. Null is unknown. */
function workersBody({ registry, relay, streams }: StatusParts): WorkerList {
  return {
    object: "list",
    controller: {
      version: version(),
      uptime_s: Math.round(process.uptime()),
      dispatch_method: registry.dispatchMethod,
      streams: streams.size,
    },
    data: registry.workers.map((worker) => workerBody(worker, registry.nowMs, relay)),
  };
}

function workerBody(worker: Worker, nowMs: number, relay: Relay): WorkerView {
  const { load, startedMs } = worker;
  return {
    address: worker.address,
    worker_id: worker.workerId,
    models: [...worker.models],
    state: worker.state,
    breaker: relay.breakerOf(worker),
    speed: worker.speed,
    queue_length: worker.queueLength,
    in_flight: worker.numLeases,
    running: load?.running ?? null,
    waiting: load?.waiting ?? null,
    max_running: load?.max_running ?? null,
    max_waiting: load?.max_waiting ?? null,
    tokens_per_s: worker.tokensPerS,
    uptime_s: startedMs === null ? null : Math.round((nowMs - startedMs) / 1000),
    heartbeat_age_s: worker.checkHeartBeat ? Math.max(0, nowMs - worker.lastHeartBeatMs) / 1000 : null,
    version: worker.version,
  };
}
