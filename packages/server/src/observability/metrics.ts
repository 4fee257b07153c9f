/**
 * Counts and times what a server does, for Prometheus. Each server has a registry of its own, because tests run several in
 * one process, and only this file imports the library. Labels come from fixed sets or from the server's own tables, never
 * from a request, or clients could fill the memory with names.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { FastifyInstance } from "fastify";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { createHttpMetrics, type HttpMetrics } from "./http-metrics.ts";
import { droppedLogLines } from "./log-sink.ts";
import type { MakeCounter, MakeHistogram, ReadMetric, Sample } from "./metric-types.ts";

export interface Metrics {
  readonly edge: HttpMetrics;
  readonly counter: MakeCounter;
  readonly histogram: MakeHistogram;
  /** `read` is called at each scrape; labels that it no longer returns disappear. */
  readonly gauge: ReadMetric;
  /** A counter whose value is kept elsewhere. */
  readonly total: ReadMetric;
  /** Everything in Prometheus' text format. */
  readonly text: () => Promise<string>;
  readonly contentType: string;
  /** Delay of the event loop, measured while enabled. */
  readonly eventLoop: Pick<EventLoop, "enable" | "disable">;
}

/** Buckets of seconds and tokens, as in vLLM (vllm/v1/metrics/loggers.py), so that its dashboards fit. */
export const BUCKETS = {
  firstToken: [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160,
    640, 2560,
  ],
  betweenTokens: [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
  ],
  request: [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680],
  tokens: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000],
} as const;

type EventLoop = ReturnType<typeof monitorEventLoopDelay>;
type Readers = Pick<Metrics, "gauge" | "total">;

const LOOP_RESOLUTION_MS = 10;
const NANOSECONDS = 1e9;

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const metrics: Omit<Metrics, "edge" | "eventLoop"> = {
    counter(name, help, labelNames = []) {
      const counter = new Counter({ name, help, labelNames, registers });
      return { add: (number, labels = {}) => counter.inc({ ...labels }, number) };
    },
    histogram(name, help, buckets, labelNames = []) {
      const histogram = new Histogram({ name, help, buckets: [...buckets], labelNames, registers });
      return { observe: (value, labels = {}) => histogram.observe({ ...labels }, value) };
    },
    gauge(name, help, read, labelNames = []) {
      const collect = (): void => {
        gauge.reset();
        for (const { value, labels = {} } of samplesOf(read())) gauge.set({ ...labels }, value);
      };
      const gauge = new Gauge({ name, help, labelNames, registers, collect });
    },
    total(name, help, read, labelNames = []) {
      const collect = (): void => {
        counter.reset();
        for (const { value, labels = {} } of samplesOf(read())) counter.inc({ ...labels }, value);
      };
      const counter = new Counter({ name, help, labelNames, registers, collect });
    },
    text: async () => await registry.metrics(),
    contentType: registry.contentType,
  };
  addProcess(metrics);
  return { ...metrics, edge: createHttpMetrics(metrics), eventLoop: createEventLoop(metrics) };
}

/** Adds `GET /metrics`, and measures the event loop while the server runs. */
export function addMetricsRoute(app: FastifyInstance, metrics: Metrics): void {
  metrics.eventLoop.enable();
  app.addHook("onClose", async () => void metrics.eventLoop.disable());
  app.get("/metrics", { config: { role: "admin" } }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  );
}

function samplesOf(read: number | readonly Sample[]): readonly Sample[] {
  return typeof read === "number" ? [{ value: read }] : read;
}

/** Metrics of the process, under the names that Prometheus' client libraries share where they have one. */
function addProcess({ gauge, total }: Readers): void {
  const startedS = Date.now() / 1000 - process.uptime();
  gauge("process_start_time_seconds", "When the process started, Unix time.", () => startedS);
  total("process_cpu_seconds_total", "Processor time that the process has used.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  gauge("process_resident_memory_bytes", "Memory that the process occupies.", () =>
    process.memoryUsage.rss(),
  );
  total("llava_log_dropped_total", "Lines of the log that could not be written.", droppedLogLines);
}

function createEventLoop({ gauge }: Readers): EventLoop {
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  const read = (): readonly Sample[] => {
    const samples = [0.5, 0.99, 1].map((quantile) => ({
      // Node measures the time between two samples, which is the resolution when nothing is late.
      value: Math.max(0, delay.percentile(quantile * 100) / NANOSECONDS - LOOP_RESOLUTION_MS / 1000),
      labels: { quantile: String(quantile) },
    }));
    delay.reset();
    return samples;
  };
  const help = "How late the event loop came to its work since the last time that this page was read.";
  gauge("llava_event_loop_delay_seconds", help, read, ["quantile"]);
  return delay;
}
