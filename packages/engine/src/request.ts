/** What the engine is asked for and what it answers with. */
import type { LlavaError } from "@llava/protocol";

export interface Message {
  readonly role: "system" | "user" | "assistant";
  /** `<image>` marks the place of a picture. */
  readonly text: string;
}

export interface GenerateRequest {
  /** A ready prompt, or a conversation to be put into the model's template. `<image>` marks a picture in either. */
  readonly prompt: string | readonly Message[];
  /** Encoded files (PNG, JPEG, WebP), one for each `<image>`, in order. */
  readonly images: readonly Uint8Array[];
  /** Default 1; at most 0.001 is greedy. */
  readonly temperature?: number;
  /** Default 1. */
  readonly topP?: number;
  /** Default 0: all tokens. */
  readonly topK?: number;
  /** Default: a random one. Equal requests with equal seeds give equal answers. */
  readonly seed?: number;
  /** Default: what the context holds. */
  readonly maxTokens?: number;
  /** The answer ends before the first of these; at most 16 of 256 characters. */
  readonly stop?: readonly string[];
}

export interface Usage {
  /** Tokens of the prompt, pictures included. */
  readonly promptTokens: number;
  readonly imageTokens: number;
  readonly completionTokens: number;
}

export interface Timings {
  /** From the call of generate() to the first step of this request. */
  readonly queueMs: number;
  readonly encodeMs: number;
  readonly prefillMs: number;
  /** From the call of generate() to the first token. */
  readonly firstTokenMs: number;
  /** From the first token to the last. */
  readonly decodeMs: number;
}

export type FinishReason = "stop" | "length";

/** Any number of deltas, then exactly one of the other two. */
export type EngineEvent =
  | { readonly type: "text-delta"; readonly text: string; readonly tokenIds: readonly number[] }
  | {
      readonly type: "finished";
      readonly reason: FinishReason;
      readonly usage: Usage;
      readonly timings: Timings;
    }
  | { readonly type: "error"; readonly error: LlavaError };
