/**
 * What crosses between the page and the web server behind it. Types only: the server checks what it gets with schemas of
 * its own, and the page, which is loaded by every visitor, trusts the server that it came from.
 *
 * `POST /api/chat` (`PageChatBody`) → 202 `PageStreamStarted`: the server asks the controller and keeps the answer; who
 * leaves does not stop it. `GET /api/events?after=ID` → server-sent events, one stream for all answers of a browser: each
 * is `id: ID` and `data: PageEvent`, and a new connection goes on after the last ID that was seen, as far as it can. `DELETE /api/streams/ID` stops one; 204, also when it has ended long ago.
 */
import type { Cluster } from "../cluster/cluster-view.ts";
import type { ChatRequestBody } from "../openai/chat.ts";
import type { ChatTimings, ChatUsage, FinishReason } from "../openai/completion.ts";
import type { ErrorCode } from "../codec/errors.ts";
import type { ModelCard } from "../openai/models.ts";

/** Images are references (`sha256:…`) to what was uploaded with `PUT /v1/blobs/sha256:…`. */
export type PageChatBody = Omit<
  ChatRequestBody,
  "stream" | "stream_options" | "n" | "logprobs" | "top_logprobs"
>;

export interface PageStreamStarted {
  /** Names the answer in events; known only to the browser that asked. */
  readonly stream: string;
}

/** What is being done before the first word. */
export type PageProgress =
  /** Sent on; nothing was heard yet. */
  | { readonly kind: "sent" }
  /** `position` counts from 1. */
  | {
      readonly kind: "queued";
      readonly position: number;
      readonly length: number;
      readonly etaMs: number | null;
    }
  /** Tokens of the prompt, those of images included. */
  | { readonly kind: "reading"; readonly done: number; readonly total: number };

export type PageEvent =
  /** First of all on every connection: the answers that the server knows. Another one is lost. */
  | { readonly type: "hello"; readonly streams: readonly string[] }
  /** The whole of an answer so far, where a connection cannot go on after what was seen. */
  | {
      readonly type: "snapshot";
      readonly stream: string;
      readonly text: string;
      readonly progress: PageProgress | null;
      readonly worker: string | null;
      /** How often another worker had to go on with it. */
      readonly migrations: number;
      readonly end: PageEnd | null;
    }
  | { readonly type: "progress"; readonly stream: string; readonly progress: PageProgress }
  | { readonly type: "delta"; readonly stream: string; readonly text: string }
  /** Another worker goes on with it. */
  | { readonly type: "migrated"; readonly stream: string }
  | { readonly type: "end"; readonly stream: string; readonly end: PageEnd }
  /** On every connection, and whenever something about them has changed. */
  | { readonly type: "models"; readonly models: readonly PageModel[]; readonly problem: PageError | null }
  /** Once a second on a connection that was opened with `cluster=1`: the controller's `GET /cluster`. */
  | { readonly type: "cluster"; readonly cluster: PageCluster | null };

/** Of the rows of figures those that the connection has not been told yet. Null: the controller tells this server nothing. */
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
  /** How long to wait before the next try, where the server knows. */
  readonly retryAfterMs: number | null;
}

export interface PageModel {
  readonly card: ModelCard;
  readonly state: "ready" | "draining" | "gone";
  readonly numWorkers: number;
  /** Waiting or running over all its workers; null when none of them says. */
  readonly queue: number | null;
}

/** `POST /api/votes`; 200 `{"stored": boolean}`: whether the server keeps a log. */
export interface PageVote {
  readonly type: "upvote" | "downvote" | "flag" | "leftvote" | "rightvote" | "tievote" | "bothbad_vote";
  /** One, or left and right. */
  readonly models: readonly string[];
  /** The conversation as it was judged, one for each model; images are references. */
  readonly conversations: readonly (readonly PageVoteMessage[])[];
}

export interface PageVoteMessage {
  readonly role: "system" | "user" | "assistant";
  readonly text: string;
  readonly images: readonly string[];
}
