/**
 * `GET /cluster`: what the controller remembers of its workers and its work, for whoever watches it. No word of a question
 * or an answer is in it. Types only: a page loads this, and trusts the server that it came from.
 */
import type { ErrorCode } from "../codec/errors.ts";
import type { WorkerList, WorkerView } from "./worker-list.ts";

export interface Cluster {
  readonly object: "cluster";
  readonly controller: WorkerList["controller"];
  /** Unix milliseconds. */
  readonly now_ms: number;
  readonly workers: readonly WorkerView[];
  readonly totals: ClusterTotals;
  readonly unanswered: ClusterUnanswered;
  readonly series: Readonly<Record<SeriesName, ClusterSeries>>;
  /** The newest first; at most 200. */
  readonly events: readonly ClusterEvent[];
}

/** Of the last five minutes, but for the first three. Null is unknown. */
export interface ClusterTotals {
  /** Requests, now. */
  readonly running: number;
  readonly waiting: number;
  /** Of all streamed answers, in the last five seconds. */
  readonly tokens_per_s: number;
  readonly requests: number;
  readonly errors: number;
  /** From a question's coming to the first words' going out, seconds. */
  readonly first_word_p50_s: number | null;
  readonly first_word_p95_s: number | null;
}

/** Requests that a worker has, and whose clients have nothing yet. */
export interface ClusterUnanswered {
  readonly total: number;
  /** The first come first; at most 20. */
  readonly oldest: readonly {
    readonly model: string;
    /** The address of the one that was asked last. */
    readonly worker: string;
    /** Otherwise the answer comes in one piece, when it is whole. */
    readonly stream: boolean;
    readonly waited_s: number;
  }[];
}

/** 300 times 1 s, 360 times 10 s, 1440 times 60 s. */
export const SERIES_NAMES = ["5m", "1h", "24h"] as const;
export type SeriesName = (typeof SERIES_NAMES)[number];

/** One number for each step, the newest last; as many as there were steps since the controller began, up to its length. */
export interface ClusterSeries {
  readonly step_s: number;
  /** When the last step ended, Unix milliseconds. */
  readonly end_ms: number;
  readonly tokens_per_s: readonly number[];
  /** As it was at the end of the step. */
  readonly running: readonly number[];
  readonly waiting: readonly number[];
  /** Null where no answer began. */
  readonly first_word_p95_s: readonly (number | null)[];
  readonly requests: readonly number[];
  readonly errors: readonly number[];
}

export type ClusterEvent = ClusterEventBody & {
  /** Unix milliseconds. */
  readonly time_ms: number;
  /** Counts up from 1. */
  readonly id: number;
};

/** Workers by their addresses. */
export type ClusterEventBody =
  | { readonly kind: "joined"; readonly worker: string; readonly models: readonly string[] }
  /** It said good-bye. */
  | { readonly kind: "left"; readonly worker: string }
  | {
      readonly kind: "lost";
      readonly worker: string;
      readonly reason: "connection" | "no_answer" | "no_heartbeat";
    }
  /** After it was lost; the same process. */
  | { readonly kind: "back"; readonly worker: string }
  | { readonly kind: "draining" | "ready"; readonly worker: string }
  /** It keeps failing and is left alone for a while, is tried again, or is as good as any. */
  | { readonly kind: "breaker"; readonly worker: string; readonly state: "open" | "half-open" | "closed" }
  /** An answer broke off and goes on elsewhere. */
  | {
      readonly kind: "moved";
      readonly worker: string;
      readonly to: string;
      readonly model: string;
      readonly code: ErrorCode;
    }
  /** A request that ended workers is not tried any more. */
  | { readonly kind: "quarantined"; readonly model: string };
