/** Makes a sequence of an answer that is known already, to learn how likely its tokens are. */
import type { ModelFolder } from "@llava/models";
import { Detokenizer } from "../sampling/detokenizer.ts";
import { type Prompt, Sequence } from "../scheduler/sequence.ts";

/** The priority of a map's runs: behind every request that a client waits for, whose priorities are from 0 to 100. */
export const AFTER_REQUESTS = 1_000;

/** The sequence ends with the last of `tokens`; its `logprob` is theirs then. */
export function scoreSequence(
  { tokenizer }: Pick<ModelFolder, "tokenizer">,
  prompt: Prompt,
  tokens: readonly number[],
  signal: AbortSignal,
): Sequence {
  return new Sequence({
    prompt,
    forced: tokens,
    sampling: { temperature: 0, topP: 1, topK: 0, seed: 0, topLogprobs: 0 },
    maxTokens: tokens.length,
    endTokens: new Set(),
    detokenizer: new Detokenizer(tokenizer, [], "continuation"),
    arrivedAt: performance.now(),
    priority: AFTER_REQUESTS,
    signal,
  });
}
