/** Checks a request against the model's context: before its text is tokenized, and before its images are decoded. */
import { IMAGE_TOKEN, type ImagePlan } from "@llava/processing";
import type { ModelFolder } from "@llava/models";
import { LlavaError } from "@llava/protocol";

/** Characters that the model's context holds when every token is its tokenizer's longest: no more can ever fit. */
export function longestPrompt({ description, tokenizer }: ModelFolder): number {
  let longest = 1;
  for (let id = 0; id < tokenizer.vocabularySize; id++)
    longest = Math.max(longest, tokenizer.tokenBytes(id).length);
  return longest * description.text.contextLength;
}

/** Refuses what cannot fit before it is tokenized, which takes time and memory. */
export function requireShort(text: string, maxCharacters: number, contextLength: number): void {
  if (text.length <= maxCharacters) return;
  throw new LlavaError(
    "context_length_exceeded",
    `The prompt has ${text.length} characters, but the model's context holds ${contextLength} tokens; shorten it or start a new conversation.`,
  );
}

/** Positions of the prompt that images take. */
export function countImageTokens(plans: readonly ImagePlan[]): number {
  return plans.reduce((sum, { numTokens }) => sum + numTokens, 0);
}

/**
 * Most tokens of the answer: what was asked for, as far as the context holds it. Throws `context_length_exceeded`.
 * @param compact the prompt, with IMAGE_TOKEN for each image
 */
export function answerLimit(
  contextLength: number,
  compact: readonly number[],
  plans: readonly ImagePlan[],
  asked: number | undefined,
): number {
  const imageTokens = countImageTokens(plans);
  const textTokens = compact.filter((id) => id !== IMAGE_TOKEN).length;
  const room = contextLength - textTokens - imageTokens;
  if (room >= 1) return Math.min(asked ?? room, room);
  throw new LlavaError(
    "context_length_exceeded",
    `The prompt has ${textTokens + imageTokens} tokens (${imageTokens} of them images), but the model's context holds ${contextLength} with at least one for the answer; shorten it or start a new conversation.`,
  );
}
