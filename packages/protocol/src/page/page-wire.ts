/**
 * Describes what the page and the web server behind it exchange. It has types only: the server checks requests with
 * schemas of its own, and the page, which every visitor loads, trusts the server that it came from.
 *
 * `POST /api/chat` (`PageChatBody`) → 202 `PageStreamStarted`: the server asks the controller and keeps the answer; a
 * browser that leaves does not stop it.
 * `GET /api/events?after=ID` → server-sent events, one stream for all answers of a browser: each is `id: ID` and
 * `data: PageEvent`, and a new connection continues after the last ID that was seen, as far as it can.
 * `DELETE /api/streams/ID` → 204: stops an answer, and does nothing to one that has ended.
 */
import type { Cluster } from "../cluster/cluster-view.ts";
import type { ChatRequestBody } from "../openai/chat.ts";
import type { ChatTimings, ChatUsage, FinishReason } from "../openai/completion.ts";
import type { ErrorCode } from "../codec/errors.ts";
import type { ModelCard } from "../openai/models.ts";

/**
 * A chat request of the page; images are references (`sha256:…`) to files that were uploaded with `PUT
 * /v1/blobs/sha256:…`.
 */
export type PageChatBody = Omit<
  ChatRequestBody,
  "stream" | "stream_options" | "n" | "logprobs" | "top_logprobs"
>;

export interface PageStreamStarted {
  /** Id of the answer in events, known only to the browser that asked. */
  readonly stream: string;
}

/** Progress of an answer before its first word. */
export type PageProgress =
  /** The request was sent; there is no report on it yet. */
  | { readonly kind: "sent" }
  /** The request waits in a queue; `position` counts from 1. */
  | {
      readonly kind: "queued";
      readonly position: number;
      readonly length: number;
      readonly etaMs: number | null;
    }
  /** The prompt is being processed; counts are tokens, those of images included. */
  | { readonly kind: "reading"; readonly done: number; readonly total: number };

export type PageEvent =
  /** The first event of every connection: the ids of the answers that the server has. Any other answer is lost. */
  | { readonly type: "hello"; readonly streams: readonly string[] }
  /** The whole answer so far, for a connection that cannot continue after the last event it has seen. */
  | {
      readonly type: "snapshot";
      readonly stream: string;
      readonly text: string;
      readonly progress: PageProgress | null;
      /** Number of times that another worker had to continue the answer. */
      readonly migrations: number;
      readonly end: PageEnd | null;
    }
  | { readonly type: "progress"; readonly stream: string; readonly progress: PageProgress }
  | { readonly type: "delta"; readonly stream: string; readonly text: string }
  /** Another worker continues the answer. */
  | { readonly type: "migrated"; readonly stream: string }
  | { readonly type: "end"; readonly stream: string; readonly end: PageEnd }
  /** Sent first on every connection, and whenever the models change. */
  | { readonly type: "models"; readonly models: readonly PageModel[]; readonly problem: PageError | null }
  /** Sent once a second on a connection that was opened with `cluster=1`: the controller's `GET /cluster`. */
  | { readonly type: "cluster"; readonly cluster: PageCluster | null };

/**
 * The controller's state with only the series that changed since the event before. The event has null where the
 * controller does not show its state.
 */
export type PageCluster = Omit<Cluster, "series"> & { readonly series: Partial<Cluster["series"]> };

export type PageEnd =
  | {
      readonly kind: "finished";
      readonly reason: FinishReason;
      readonly usage: ChatUsage | null;
      readonly timings: ChatTimings | null;
    }
  | { readonly kind: "stopped" }
  | { readonly kind: "failed"; readonly error: PageError };

export interface PageError {
  readonly code: ErrorCode;
  /** A sentence for people. */
  readonly message: string;
  readonly retryable: boolean;
  /** Milliseconds to wait before the next try; null where the server does not know. */
  readonly retryAfterMs: number | null;
}

export interface PageModel {
  readonly card: ModelCard;
  readonly state: "ready" | "draining" | "gone";
  readonly numWorkers: number;
  /** Number of waiting and running requests over all workers of the model; null when no worker reports it. */
  readonly queue: number | null;
}

/** `POST /api/votes` → 200 `{"stored": boolean}`: whether the server keeps a log. */
export interface PageVote {
  readonly type: "upvote" | "downvote" | "flag" | "leftvote" | "rightvote" | "tievote" | "bothbad_vote";
  /** Names of one model, or of the left and the right one. */
  readonly models: readonly string[];
  /** The judged conversation of each model; images are references. */
  readonly conversations: readonly (readonly PageVoteMessage[])[];
}

export interface PageVoteMessage {
  readonly role: "system" | "user" | "assistant";
  readonly text: string;
  readonly images: readonly string[];
}
