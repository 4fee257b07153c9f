/** The events of an answer: any number of text deltas, then exactly one event that says how it ended. */
import type { LlavaError } from "@llava/protocol";

export interface Usage {
  /** Tokens of the prompt, images included. */
  readonly promptTokens: number;
  readonly imageTokens: number;
  /** Tokens of the prompt that an earlier request had left in the cache, so that they were not computed again. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

/** Times of one answer. Choices after the first are counted from the first event of that one, after the wait for admission. */
export interface Timings {
  /** From the call of generate() to the first step of this request, the wait for its admission included. */
  readonly queueMs: number;
  /** To decode the images, a part of `queueMs`; absent when there are none. */
  readonly imagesMs?: number;
  /** Duration of the vision encoder's runs that this request's images were in; 0 when their features were cached. */
  readonly encodeMs: number;
  /** From its place in the KV cache to the first token. */
  readonly prefillMs: number;
  /** From the call of generate() to the first token. */
  readonly firstTokenMs: number;
  /** From the first token to the last. */
  readonly decodeMs: number;
}

export interface TokenLogprob {
  readonly id: number;
  /** Natural logarithm of the probability; -Infinity for what the model holds impossible. */
  readonly logprob: number;
}

/** The logprob of a token of the answer, and those of its alternatives. */
export interface TokenLogprobs extends TokenLogprob {
  /** The most likely tokens at its place, most likely first; it may be one of them. */
  readonly top: readonly TokenLogprob[];
}

export type FinishReason = "stop" | "length";

/** An event of one answer. */
export type GenerateEvent =
  | {
      readonly type: "text-delta";
      /** Never empty. */
      readonly text: string;
      /** All tokens since the last delta: decoding those of all deltas so far gives exactly their text. */
      readonly tokens: readonly number[];
      /** Logprobs of those of these tokens that are part of the text; present when the request asks for them. */
      readonly logprobs?: readonly TokenLogprobs[];
    }
  | {
      readonly type: "finished";
      readonly reason: FinishReason;
      readonly usage: Usage;
      readonly timings: Timings;
    }
  | { readonly type: "error"; readonly error: LlavaError };

/** An event of one of the answers to a request that asks for several. */
export interface ChoiceEvent {
  /** Number of the answer, from 0. */
  readonly index: number;
  readonly event: GenerateEvent;
}
