/** A GenerateRequest is what a backend is asked for, in a backend's terms: no wire format, no HTTP. */
import type { AnswerFormat } from "@llava/protocol";
import type { QueuePlace } from "./admission-queue.ts";

/** A piece of a message. A text is plain: `<image>` in it is a word, no mark. */
export type MessagePart = { readonly type: "text"; readonly text: string } | { readonly type: "image" };

export interface Message {
  readonly role: "system" | "user" | "assistant";
  /** A string in which `<image>` marks the place of an image, or parts. */
  readonly text: string | readonly MessagePart[];
}

/** How an image that is no square becomes the vision tower's square. */
export type ImageShape = "pad" | "crop" | "resize";
/** The shape of each image; undefined, or absent, where the model's own is taken. */
export type ImageShapes = readonly (ImageShape | undefined)[];

export interface GenerateRequest {
  /**
   * A ready prompt, in which `<image>` marks an image and special tokens may be written out; or a conversation to be put
   * into the model's template; or a plain text to be continued as it stands, without images or special tokens.
   */
  readonly prompt: string | readonly Message[] | { readonly text: string };
  /** Encoded files (PNG, JPEG, WebP), one for each image of the prompt, in order. */
  readonly images: readonly Uint8Array[];
  readonly shapes?: ImageShapes;
  /** Key of the template that a conversation is put into, where it is not the model's own. */
  readonly conversation?: string;
  /** Whether the conversation ends with an unfinished assistant message, which the answer continues with the next character. */
  readonly isUnfinished?: boolean;
  /** Called when the request has to wait, with a function that returns its place from then on: null once it waits no more. */
  readonly onQueued?: (place: () => QueuePlace | null) => void;
  /** Called when the request is admitted: it is prepared and computed from then on. */
  readonly onAdmitted?: () => void;
  /** Called while the prompt is computed: how many of its positions are, images' included, and how many there are. */
  readonly onPrefill?: (done: number, total: number) => void;
  /** Rank in the queue: smaller numbers are admitted first, equal ones in the order of their arrival. Default 0. */
  readonly priority?: number;
  /** Default 1; at most 0.001 is greedy. */
  readonly temperature?: number;
  /** Default 1. */
  readonly topP?: number;
  /** Default 0: all tokens. */
  readonly topK?: number;
  /** Least probability of a token as a share of the likeliest token's. Default 0: all tokens. */
  readonly minP?: number;
  /** Repetition penalty of Hugging Face transformers, over prompt and answer; default 1: none. */
  readonly repetitionPenalty?: number;
  /** Presence penalty of OpenAI's API, over the answer; default 0: none. */
  readonly presencePenalty?: number;
  /** Frequency penalty of OpenAI's API, over the answer; default 0: none. */
  readonly frequencyPenalty?: number;
  /** Added to the logits, by token id; at most 1024, from -100 to 100. */
  readonly logitBias?: ReadonlyMap<number, number>;
  /** Default: a random one. Equal requests with equal seeds give equal answers. */
  readonly seed?: number;
  /** Most tokens of the answer, those of `resume` included. Default: what the context holds. */
  readonly maxTokens?: number;
  /** Length in tokens before which neither an end token nor a stop string ends the answer. Default 0. */
  readonly minTokens?: number;
  /** Strings before the first of which the answer ends; at most 16 of 256 characters. */
  readonly stop?: readonly string[];
  /** Tokens at the first of which the answer ends, without showing it; at most 64. */
  readonly stopTokenIds?: readonly number[];
  /** Whether the model's own end tokens are tokens without text like others. */
  readonly ignoreEos?: boolean;
  /** Number of the likeliest tokens that are reported at each place beside the chosen one: 0 to 20. Default: no logprobs. */
  readonly logprobs?: number;
  /** The format that the answer must match. */
  readonly grammar?: AnswerFormat;
  /**
   * Tokens after which an answer to this very request, with the same seed, broke off. Their text is not emitted again; all
   * that follows, and the usage, is as if the answer had not been interrupted.
   */
  readonly resume?: { readonly tokens: readonly number[] };
}
