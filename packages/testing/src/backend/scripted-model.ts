/** The scripted model: logits that are a function of the prompt and the tokens so far, one token for each byte. */
import type { GenerateRequest, TokenLogprobs } from "@llava/backend";

/** Ids below are those of special tokens; the id of a byte is behind them. */
export const FIRST_BYTE_ID = 4;
const VOCABULARY_SIZE = FIRST_BYTE_ID + 256;
const FIRST_LETTER_ID = FIRST_BYTE_ID + "a".charCodeAt(0);
/** Ids of the letters a to z. */
const LETTERS = Array.from({ length: 26 }, (_, i) => FIRST_LETTER_ID + i);
/** Logits of the letters lie from 0 to here. */
const MAX_LOGIT = 4;
/** The logit of all other tokens: never sampled unless a bias wants it. */
const OTHER_LOGIT = -50;
/** A temperature at or below is greedy. */
const GREEDY_BELOW = 0.001;

type Sampling = Pick<
  GenerateRequest,
  | "temperature"
  | "topP"
  | "topK"
  | "minP"
  | "repetitionPenalty"
  | "presencePenalty"
  | "frequencyPenalty"
  | "logitBias"
  | "logprobs"
>;

export interface Sampled {
  readonly id: number;
  readonly logprobs: TokenLogprobs | null;
}

/** @param key a number of 32 bits that stands for the prompt; @param tokens the answer so far */
export function sampleToken(
  key: number,
  seed: number,
  tokens: readonly number[],
  sampling: Sampling,
): Sampled {
  const logits = logitsOf(key, tokens);
  const id = choose(adjusted(logits, tokens, sampling), uniform(mix(seed, tokens.length)), sampling);
  const { logprobs: top } = sampling;
  return { id, logprobs: top === undefined ? null : tokenLogprobs(logits, id, top) };
}

function logitsOf(key: number, tokens: readonly number[]): Float64Array {
  const logits = new Float64Array(VOCABULARY_SIZE).fill(OTHER_LOGIT);
  const state = mix(mix(key, tokens.length), tokens.at(-1) ?? 0);
  for (const id of LETTERS) logits[id] = MAX_LOGIT * uniform(mix(state, id));
  return logits;
}

function adjusted(
  logits: Float64Array,
  tokens: readonly number[],
  { logitBias, repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 }: Sampling,
): Float64Array {
  const all = Float64Array.from(logits);
  for (const [id, bias] of logitBias ?? []) all[id] = (all[id] ?? OTHER_LOGIT) + bias;
  for (const id of new Set(tokens)) {
    const count = tokens.filter((other) => other === id).length;
    const logit = all[id] ?? OTHER_LOGIT;
    const repeated = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
    all[id] = repeated - presencePenalty - frequencyPenalty * count;
  }
  return all;
}

/** @param draw from 0 to 1 */
function choose(
  logits: Float64Array,
  draw: number,
  { temperature = 1, topP = 1, topK = 0, minP = 0 }: Sampling,
): number {
  const ids = byProbability(logits);
  const [greedy = 0] = ids;
  if (temperature <= GREEDY_BELOW) return greedy;
  const kept = topK > 0 ? ids.slice(0, topK) : ids;
  const weights = kept.map((id) => Math.exp(((logits[id] ?? 0) - (logits[greedy] ?? 0)) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let end = weights.findLastIndex((weight) => weight >= minP) + 1;
  let mass = 0;
  for (const [i, weight] of weights.entries()) {
    mass += weight / total;
    if (mass >= topP) {
      end = Math.min(end, i + 1);
      break;
    }
  }
  let left = draw * weights.slice(0, end).reduce((sum, weight) => sum + weight, 0);
  for (const [i, weight] of weights.slice(0, end).entries()) {
    left -= weight;
    if (left < 0) return kept[i] ?? greedy;
  }
  return kept[end - 1] ?? greedy;
}

function tokenLogprobs(logits: Float64Array, id: number, top: number): TokenLogprobs {
  const normalizer = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  const logprobOf = (of: number): number => (logits[of] ?? OTHER_LOGIT) - normalizer;
  const likeliest = byProbability(logits).slice(0, top);
  return { id, logprob: logprobOf(id), top: likeliest.map((of) => ({ id: of, logprob: logprobOf(of) })) };
}

function byProbability(logits: Float64Array): number[] {
  return Array.from(logits.keys()).sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
}

/** Two numbers of 32 bits as one (the finalizer of MurmurHash3). */
export function mix(a: number, b: number): number {
  let hash = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x165667b1, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** From 0 to 1. */
export function uniform(bits: number): number {
  return bits / 2 ** 32;
}
