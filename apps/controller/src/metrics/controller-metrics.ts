/**
 * Counts and times what the relay reports. Figures of one worker are read from the registry when the metrics are asked for,
 * so that a worker that is gone is gone from them too.
 */
import { BUCKETS, createMetrics, type Metrics, type Sample } from "@llava/server";
import type { Breaker } from "../fleet/breaker.ts";
import type { ClusterHistory } from "../history/cluster-history.ts";
import { MAX_WORKERS, type Registry, type Worker } from "../registry/registry.ts";
import type { RelayMeasurement, RelayOutcome } from "../relay/relay-measurement.ts";
import type { Frame } from "../relay/relayed-frame.ts";

export interface ControllerMetrics {
  readonly metrics: Metrics;
  readonly begin: (model: string, isStream: boolean) => RelayMeasurement;
}

const BREAKER_NUMBERS = { closed: 0, open: 1, "half-open": 2 } as const;
/** The ends that do not count as errors of the cluster. */
const NO_ERRORS: ReadonlySet<RelayOutcome> = new Set(["ok", "refused", "cancelled"]);
/** The label in place of a model that no worker has, as clients could make any number of labels otherwise. */
const NO_MODEL = "none";

export function createControllerMetrics(
  registry: Registry,
  breakerOf: (worker: Worker) => Breaker["state"],
  history: ClusterHistory,
): ControllerMetrics {
  const metrics = createMetrics();
  addWorkers(metrics, registry, breakerOf);
  const instruments = createInstruments(metrics, registry);
  return {
    metrics,
    begin: (model, isStream) => measure(instruments, history, model, isStream),
  };
}

function addWorkers(
  { gauge }: Metrics,
  registry: Registry,
  breakerOf: (worker: Worker) => Breaker["state"],
): void {
  /** @param read the figure of a worker; null is unknown, which is not zero */
  const each = (name: string, help: string, read: (worker: Worker) => number | null): void => {
    const sample = (worker: Worker): readonly Sample[] => {
      const value = read(worker);
      return value === null ? [] : [{ value, labels: { worker: worker.address } }];
    };
    gauge(`llava_worker_${name}`, help, () => registry.workers.flatMap(sample), ["worker"]);
  };
  gauge(
    "llava_workers",
    "Workers in the registry by their state.",
    () =>
      (["ready", "draining"] as const).map((state) => ({
        value: registry.workers.filter((worker) => worker.state === state).length,
        labels: { state },
      })),
    ["state"],
  );
  each("in_flight", "Requests that are being relayed to the worker.", ({ numLeases }) => numLeases);
  each(
    "queue_length",
    "The queue that the worker last reported, and the requests given to it since.",
    (worker) => worker.queueLength,
  );
  each("running", "Requests that run, as the worker last reported.", ({ load }) => load?.running ?? null);
  each("waiting", "Requests that wait, as the worker last reported.", ({ load }) => load?.waiting ?? null);
  each(
    "tokens_per_second",
    "Tokens a second of all answers, as the worker last reported.",
    (worker) => worker.tokensPerS,
  );
  each("heartbeat_age_seconds", "Seconds since the worker's last heartbeat.", ({ lastHeartBeatMs }) =>
    Math.max(0, (registry.nowMs - lastHeartBeatMs) / 1000),
  );
  each("breaker_state", "0 closed, 1 open, 2 half-open.", (worker) => BREAKER_NUMBERS[breakerOf(worker)]);
}

interface Instruments {
  readonly finished: Tally;
  readonly byWorker: Tally;
  readonly firstFrame: (seconds: number) => void;
  readonly duration: (seconds: number, outcome: RelayOutcome) => void;
  readonly retried: () => void;
  readonly moved: () => void;
}

function createInstruments(metrics: Metrics, registry: Registry): Instruments {
  const firstFrame = metrics.histogram(
    "llava_relay_first_frame_seconds",
    "From the moment when a request was here to the first words of its streamed answer going out.",
    BUCKETS.firstToken,
  );
  const duration = metrics.histogram(
    "llava_relay_duration_seconds",
    "From the moment when a request was here to the end of its answer.",
    BUCKETS.request,
    ["outcome"],
  );
  const retries = metrics.counter(
    "llava_relay_retries_total",
    "Further workers that were asked before the first byte.",
  );
  const moves = metrics.counter(
    "llava_relay_migrations_total",
    "Answers that broke off and went on from another worker.",
  );
  return {
    finished: createTally(
      metrics,
      "llava_relays_total",
      'Relayed requests by their end; the model is "none" when no worker could be asked.',
      "model",
      () => [NO_MODEL, ...registry.workers.flatMap(({ models }) => models)],
    ),
    byWorker: createTally(
      metrics,
      "llava_worker_requests_total",
      "Requests that the worker was asked, by their end; passed_on when another one was asked after it.",
      "worker",
      () => registry.workers.map(({ address }) => address),
    ),
    firstFrame: (seconds) => firstFrame.observe(seconds),
    duration: (seconds, outcome) => duration.observe(seconds, { outcome }),
    retried: () => retries.add(1),
    moved: () => moves.add(1),
  };
}

interface Tally {
  readonly add: (name: string, outcome: RelayOutcome | "passed_on") => void;
}

/** A counter by outcome for each of the label values that `known` returns; the figures of all others are dropped. */
function createTally(
  metrics: Metrics,
  name: string,
  help: string,
  label: string,
  known: () => readonly string[],
): Tally {
  const sums = new Map<string, Map<string, number>>();
  const dropUnknown = (): void => {
    const names = new Set(known());
    for (const old of sums.keys()) if (!names.has(old)) sums.delete(old);
  };
  const read = (): readonly Sample[] => {
    dropUnknown();
    return [...sums].flatMap(([of, outcomes]) =>
      [...outcomes].map(([outcome, value]) => ({ value, labels: { [label]: of, outcome } })),
    );
  };
  metrics.total(name, help, read, [label, "outcome"]);
  return {
    add: (of, outcome) => {
      // Without a reader nothing else would drop old values.
      if (!sums.has(of) && sums.size >= MAX_WORKERS) dropUnknown();
      const outcomes = sums.get(of) ?? new Map<string, number>();
      sums.set(of, outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1));
    },
  };
}

function measure(
  instruments: Instruments,
  history: ClusterHistory,
  model: string,
  isStream: boolean,
): RelayMeasurement {
  const { pending } = history;
  const startedMs = performance.now();
  const request = { model, isStream, startedMs };
  const passedS = (): number => (performance.now() - startedMs) / 1000;
  let current: string | null = null;
  let hasText = false;
  let hasTokens = false;
  /** The tokens of a frame. From a worker that does not send them each piece of text counts as one. */
  const tokensOf = ({ kind, head, tokens }: Frame): number => {
    hasTokens ||= head !== null || tokens.length > 0;
    return hasTokens || kind !== "data" ? tokens.length : 1;
  };
  return {
    asked: ({ address }) => {
      if (current !== null) {
        instruments.byWorker.add(current, "passed_on");
        if (!hasText) instruments.retried();
      }
      current = address;
      if (!hasText) pending.asked(request, address);
    },
    moved: (lost, to, code) => {
      instruments.moved();
      history.note({ kind: "moved", worker: lost.address, to: to.address, model, code });
    },
    frame: (frame) => {
      history.tokens(tokensOf(frame));
      if (hasText || frame.kind !== "data") return;
      hasText = true;
      pending.answered(request);
      instruments.firstFrame(passedS());
      history.firstWord(passedS());
    },
    ended: (outcome) => {
      pending.answered(request);
      if (current !== null) instruments.byWorker.add(current, outcome);
      instruments.finished.add(current === null ? NO_MODEL : model, outcome);
      instruments.duration(passedS(), outcome);
      history.ended(!NO_ERRORS.has(outcome));
      if (outcome === "quarantined") history.note({ kind: "quarantined", model });
    },
  };
}
