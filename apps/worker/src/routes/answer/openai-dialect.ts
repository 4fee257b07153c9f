/** A Dialect is the shapes in which OpenAI's endpoints for chat and for text differ. */
import type { FinishReason } from "@llava/backend";
import type { AnsweredToken, ChatTimings, ChatUsage, CompletionHead, WholeAnswer } from "@llava/protocol";

/** A piece of an answer's text. */
export interface TextDelta {
  readonly text: string;
  /** Logprobs of its tokens; null where the request asks for none. */
  readonly logprobs: readonly AnsweredToken[] | null;
  /** Characters of the answer before it. */
  readonly offset: number;
}

/** The shapes in which the endpoints differ. `index` is the number of the choice. */
export interface Dialect {
  readonly idPrefix: "chatcmpl" | "cmpl";
  /** Whether logprobs hold each token's place in the answer, which a worker that continues another one's does not know. */
  readonly hasOffsets: boolean;
  /** The chunk with which a choice begins before its text, or null. */
  readonly openingChunk: (head: CompletionHead, index: number) => object | null;
  readonly textChunk: (head: CompletionHead, index: number, delta: TextDelta) => object;
  readonly finishChunk: (
    head: CompletionHead,
    index: number,
    reason: FinishReason,
    timings: ChatTimings,
  ) => object;
  readonly usageChunk: (head: CompletionHead, usage: ChatUsage) => object;
  /** The body of a whole answer. */
  readonly completion: (
    head: CompletionHead,
    answers: readonly WholeAnswer[],
    usage: ChatUsage,
    timings: ChatTimings,
  ) => object;
}
