/**
 * Describes the answer of `GET /cluster`: what the controller remembers of its workers and its work. No text of a request or
 * an answer is in it. It has types only, as a page loads it and trusts the server that it came from.
 */
import type { ErrorCode } from "../codec/errors.ts";
import type { WorkerList, WorkerView } from "./worker-list.ts";

export interface Cluster {
  readonly object: "cluster";
  readonly controller: WorkerList["controller"];
  /** The controller's clock, in Unix milliseconds. */
  readonly now_ms: number;
  readonly workers: readonly WorkerView[];
  readonly totals: ClusterTotals;
  readonly unanswered: ClusterUnanswered;
  readonly series: Readonly<Record<SeriesName, ClusterSeries>>;
  /** The last events, at most 200, the newest first. */
  readonly events: readonly ClusterEvent[];
}

/** The figures of all workers together. Null is unknown. */
export interface ClusterTotals {
  /** The requests that run now. */
  readonly running: number;
  /** The requests that wait now. */
  readonly waiting: number;
  /** The tokens a second of all streamed answers, in the last five seconds. */
  readonly tokens_per_s: number;
  /** The requests that ended in the last five minutes. */
  readonly requests: number;
  /** Those of them that ended with an error. */
  readonly errors: number;
  /** The median of the seconds from a request's arrival to the first text of its answer, in the last five minutes. */
  readonly first_word_p50_s: number | null;
  /** The 95th percentile of the same. */
  readonly first_word_p95_s: number | null;
}

/** The requests that a worker has, and whose clients have nothing yet. */
export interface ClusterUnanswered {
  /** The number of all of them. */
  readonly total: number;
  /** The oldest of them, at most 20, the oldest first. */
  readonly oldest: readonly {
    readonly model: string;
    /** The address of the worker that was asked last. */
    readonly worker: string;
    /** Whether the answer is streamed; otherwise it comes in one piece, when it is whole. */
    readonly stream: boolean;
    /** The seconds since the request came. */
    readonly waited_s: number;
  }[];
}

/** The time spans of the figures: 300 steps of 1 s, 360 of 10 s, and 1440 of 60 s. */
export const SERIES_NAMES = ["5m", "1h", "24h"] as const;
export type SeriesName = (typeof SERIES_NAMES)[number];

/** One number for each step, the newest last; as many as there were steps since the controller began, up to its length. */
export interface ClusterSeries {
  /** The seconds of one step. */
  readonly step_s: number;
  /** When the last step ended, in Unix milliseconds. */
  readonly end_ms: number;
  /** The tokens a second of all streamed answers. */
  readonly tokens_per_s: readonly number[];
  /** The requests that ran at the end of the step. */
  readonly running: readonly number[];
  /** The requests that waited at the end of the step. */
  readonly waiting: readonly number[];
  /** The 95th percentile of the seconds to the first text of an answer; null where no answer began. */
  readonly first_word_p95_s: readonly (number | null)[];
  /** The requests that ended. */
  readonly requests: readonly number[];
  /** Those of them that ended with an error. */
  readonly errors: readonly number[];
}

export type ClusterEvent = ClusterEventBody & {
  /** When it happened, in Unix milliseconds. */
  readonly time_ms: number;
  /** The number of the event, counted from 1. */
  readonly id: number;
};

/** What happened; `worker` is a worker's address. */
export type ClusterEventBody =
  /** A worker, or a new process at a known address, registered. */
  | { readonly kind: "joined"; readonly worker: string; readonly models: readonly string[] }
  /** A worker deregistered. */
  | { readonly kind: "left"; readonly worker: string }
  /** A worker was removed because of a failure. */
  | {
      readonly kind: "lost";
      readonly worker: string;
      readonly reason: "connection" | "no_answer" | "no_heartbeat";
    }
  /** A worker that was lost answers again, in the same process. */
  | { readonly kind: "back"; readonly worker: string }
  /** A worker's own state changed: one that is draining takes no new requests. */
  | { readonly kind: "draining" | "ready"; readonly worker: string }
  /** A worker's circuit breaker changed: no requests for a while, one at a time, or all of them. */
  | { readonly kind: "breaker"; readonly worker: string; readonly state: "open" | "half-open" | "closed" }
  /** An answer broke off with this error and goes on from another worker. */
  | {
      readonly kind: "moved";
      readonly worker: string;
      readonly to: string;
      readonly model: string;
      readonly code: ErrorCode;
    }
  /** A request that crashed workers is not tried again for a while. */
  | { readonly kind: "quarantined"; readonly model: string };
