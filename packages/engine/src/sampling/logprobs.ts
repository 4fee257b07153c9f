/** Computes log probabilities of a token and of the likeliest ones at its place, before bias, penalties and temperature. */
import type { TokenLogprobs } from "@llava/backend";
import { exponential } from "./fast-exp.ts";

/** OpenAI's limit of top_logprobs. */
export const MAX_TOP_LOGPROBS = 20;

export type { TokenLogprobs };

/** logits [vocabulary], `top` alternatives: 0 to MAX_TOP_LOGPROBS. */
export function tokenLogprobs(logits: Float32Array, id: number, top: number): TokenLogprobs {
  const normalizer = logSumExp(logits);
  const logprobOf = (of: number): number => (logits[of] ?? -Infinity) - normalizer;
  return {
    id,
    logprob: logprobOf(id),
    top: largest(logits, top).map((of) => ({ id: of, logprob: logprobOf(of) })),
  };
}

function logSumExp(logits: Float32Array): number {
  let most = -Infinity;
  // By index: an iterator over 32,000 numbers costs more than what is done with them.
  for (let id = 0; id < logits.length; id++) if ((logits[id] ?? 0) > most) most = logits[id] ?? 0;
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += exponential((logits[id] ?? 0) - most);
  return most + Math.log(sum);
}

/** Ids of the `count` largest logits, largest first, equal ones in order of their ids. One pass: `count` is small. */
function largest(logits: Float32Array, count: number): readonly number[] {
  const ids: number[] = [];
  if (count === 0) return ids;
  let least = -Infinity;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] ?? -Infinity;
    if (ids.length === count && logit <= least) continue;
    let place = ids.length;
    while (place > 0 && (logits[ids[place - 1] ?? 0] ?? 0) < logit) place--;
    ids.splice(place, 0, id);
    if (ids.length > count) ids.pop();
    least = logits[ids.at(-1) ?? 0] ?? 0;
  }
  return ids;
}
