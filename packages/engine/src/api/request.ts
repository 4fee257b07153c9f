/** Defines the requests that the engine takes and the events that it answers with. */
import type { ConversationMessage, MessagePart, SquareShape } from "@llava/processing";
import type { LlavaError } from "@llava/protocol";
import type { GrammarSource } from "../grammar/grammar.ts";
import type { TokenLogprobs } from "../sampling/logprobs.ts";

export type { MessagePart };
/** A message: in a string `<image>` marks the place of an image, in parts it is text like any other. */
export type Message = ConversationMessage;

/** How each image becomes the vision tower's square; undefined, or absent, where the model decides. */
export type ImageShapes = readonly (SquareShape | undefined)[];

export interface GenerateRequest {
  /**
   * A ready prompt, in which `<image>` marks an image and special tokens may be written out; or a conversation to be put
   * into the model's template; or plain text to be continued as it stands, without images or special tokens.
   */
  readonly prompt: string | readonly Message[] | { readonly text: string };
  /** Encoded files (PNG, JPEG, WebP), one for each image of the prompt, in order. */
  readonly images: readonly Uint8Array[];
  readonly shapes?: ImageShapes;
  /** Name of the template that a conversation is put into, where it is not the model's. */
  readonly conversation?: string;
  /** True: the conversation ends with text of the assistant, and the answer goes on with the very next character. */
  readonly isUnfinished?: boolean;
  /** Called while the prompt is computed, with its computed positions and all, images included. */
  readonly onPrefill?: (done: number, total: number) => void;
  /** Priority: of the requests that wait, the smallest number goes first, then the one that came first. Default 0. */
  readonly priority?: number;
  /** Default 1; at most 0.001 is greedy. */
  readonly temperature?: number;
  /** Default 1. */
  readonly topP?: number;
  /** Default 0: all tokens. */
  readonly topK?: number;
  /** Default 0: all tokens. Others must be at least this many times as likely as the most likely one. */
  readonly minP?: number;
  /** Hugging Face's, over prompt and answer; default 1: none. */
  readonly repetitionPenalty?: number;
  /** OpenAI's, over the answer; default 0: none. */
  readonly presencePenalty?: number;
  /** OpenAI's, over the answer; default 0: none. */
  readonly frequencyPenalty?: number;
  /** Added to the logits, by token id; at most 1024, from -100 to 100. */
  readonly logitBias?: ReadonlyMap<number, number>;
  /** Default: a random one. Equal requests with equal seeds give equal answers. */
  readonly seed?: number;
  /** Default: what the context holds. Tokens of `resume` count. */
  readonly maxTokens?: number;
  /** Default 0. Before the answer has this many tokens no token ends it, and stop strings in it are text. */
  readonly minTokens?: number;
  /** The answer ends before the first of these; at most 16 of 256 characters. */
  readonly stop?: readonly string[];
  /** The answer ends at the first of these, which is not shown; at most 64. */
  readonly stopTokenIds?: readonly number[];
  /** True: the model's own end tokens do not end the answer; they add no text to it. */
  readonly ignoreEos?: boolean;
  /** Report how likely each token was, and this many of the likeliest ones at its place: 0 to 20. */
  readonly logprobs?: number;
  /** Form of the answer. */
  readonly grammar?: GrammarSource;
  /**
   * Continues an answer to this very request, with the same seed, that broke off after these tokens. Their text is not
   * sent again; all that follows, and the usage, is as if nothing had happened.
   */
  readonly resume?: { readonly tokens: readonly number[] };
}

export interface Usage {
  /** Tokens of the prompt, images included. */
  readonly promptTokens: number;
  readonly imageTokens: number;
  /** Tokens of the prompt that an earlier request had left in the cache: they are not computed again. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

export interface Timings {
  /** From the call of generate() to the first step of this request. */
  readonly queueMs: number;
  /** Time to read and decode the images, a part of `queueMs`; absent when there are none. */
  readonly imagesMs?: number;
  /** Time of the encoder runs that this request's images were in; 0 when their features were in the cache. */
  readonly encodeMs: number;
  /** From its place in the cache to the first token. */
  readonly prefillMs: number;
  /** From the call of generate() to the first token. */
  readonly firstTokenMs: number;
  /** From the first token to the last. */
  readonly decodeMs: number;
}

export type FinishReason = "stop" | "length";

/** Any number of deltas, then exactly one of the other two. */
export type EngineEvent =
  | {
      readonly type: "text-delta";
      /** Never empty. */
      readonly text: string;
      /** All tokens since the last delta: those of all deltas so far stand for exactly their text. */
      readonly tokens: readonly number[];
      /** Log probabilities of these tokens, as far as their text is in the answer; where the request asks for them. */
      readonly logprobs?: readonly TokenLogprobs[];
    }
  | {
      readonly type: "finished";
      readonly reason: FinishReason;
      readonly usage: Usage;
      readonly timings: Timings;
    }
  | { readonly type: "error"; readonly error: LlavaError };
