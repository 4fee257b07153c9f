/** Logits → one token. A pure function of (logits, settings, seed, position): who computes it makes no difference. */
import { LlavaError } from "@llava/protocol";

export interface SamplingSettings {
  /** At or below GREEDY_TEMPERATURE the most likely token is taken. */
  readonly temperature: number;
  /** Keep the smallest set of most likely tokens whose probabilities reach this sum; 1 keeps all. */
  readonly topP: number;
  /** Keep this many most likely tokens; 0 keeps all. */
  readonly topK: number;
  readonly seed: number;
}

/** LLaVA samples only above this temperature. */
const GREEDY_TEMPERATURE = 0.001;

/**
 * The token at `position` of the answer (0 is its first). Temperature, top-k and top-p are applied in this order, as in
 * Hugging Face transformers. logits [vocabulary], not changed. Throws `runtime_failure` when they are not numbers.
 */
export function sampleToken(logits: Float32Array, settings: SamplingSettings, position: number): number {
  const best = mostLikely(logits);
  if (settings.temperature <= GREEDY_TEMPERATURE) return best;
  const weights = relativeWeights(logits, best, settings.temperature);
  const { ids, total } = keepLikely(logits, weights, settings);
  let rest = uniformAt(settings.seed, position) * total;
  for (const id of ids) {
    rest -= weights[id] ?? 0;
    if (rest < 0) return id;
  }
  // Rounding left a rest above the last weight.
  return ids.at(-1) ?? best;
}

/** The first of the largest logits. */
export function mostLikely(logits: Float32Array): number {
  let best = 0;
  let largest = -Infinity;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] ?? 0;
    // Written so that NaN gets in, and from then on nothing else.
    if (logit <= largest) continue;
    best = id;
    largest = logit;
    if (Number.isNaN(logit)) break;
  }
  if (Number.isFinite(largest)) return best;
  throw new LlavaError(
    "runtime_failure",
    `The model computed ${largest} where the likelihood of a word should be. Its weights are damaged or do not belong to its config.json; copy the whole folder again from where the model came from.`,
  );
}

/** e^((logit − largest) / temperature): probabilities, but for one common factor. */
function relativeWeights(logits: Float32Array, best: number, temperature: number): Float64Array {
  const largest = logits[best] ?? 0;
  const weights = new Float64Array(logits.length);
  for (let id = 0; id < logits.length; id++)
    weights[id] = Math.exp(((logits[id] ?? 0) - largest) / temperature);
  return weights;
}

interface Candidates {
  readonly ids: Uint32Array;
  /** Sum of their weights. */
  readonly total: number;
}

function keepLikely(
  logits: Float32Array,
  weights: Float64Array,
  { topP, topK }: SamplingSettings,
): Candidates {
  const all = idsOfAtLeast(0, weights);
  const isTopK = topK > 0 && topK < logits.length;
  if (!isTopK && topP >= 1) return all;
  const isEnough = ({ ids, total }: Candidates): boolean =>
    isTopK ? ids.length >= topK : total >= topP * all.total;
  const sorted = mostLikelyFirst(logits, weights, isEnough).subarray(0, isTopK ? topK : logits.length);
  if (topP >= 1) return { ids: sorted, total: sumOf(sorted, weights) };
  const target = topP * (isTopK ? sumOf(sorted, weights) : all.total);
  const nucleus = sorted.subarray(0, countUntil(sorted, weights, target));
  return { ids: nucleus, total: sumOf(nucleus, weights) };
}

/**
 * Tokens below such a weight are looked at only when those above are not enough: the likely ones are few, and sorting a
 * vocabulary of 32,000 for each token takes longer than computing the next one.
 */
const LEAST_WEIGHTS = [1e-3, 1e-6] as const;

/** Ids from the largest logit down, equal ones in order of their ids: enough of them, or all. */
function mostLikelyFirst(
  logits: Float32Array,
  weights: Float64Array,
  isEnough: (candidates: Candidates) => boolean,
): Uint32Array {
  for (const least of LEAST_WEIGHTS) {
    const likely = idsOfAtLeast(least, weights);
    if (isEnough(likely)) return sortByLogit(likely.ids, logits);
  }
  return sortByLogit(idsOfAtLeast(0, weights).ids, logits);
}

function idsOfAtLeast(least: number, weights: Float64Array): Candidates {
  const ids = new Uint32Array(weights.length);
  let count = 0;
  let total = 0;
  for (let id = 0; id < weights.length; id++) {
    const weight = weights[id] ?? 0;
    if (weight < least) continue;
    ids[count++] = id;
    total += weight;
  }
  return { ids: ids.subarray(0, count), total };
}

function sortByLogit(ids: Uint32Array, logits: Float32Array): Uint32Array {
  return ids.sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
}

/** How many leading ids it takes for their weights to reach `target`; at least one. */
function countUntil(ids: Uint32Array, weights: Float64Array, target: number): number {
  let sum = 0;
  for (let i = 0; i < ids.length; i++) {
    sum += weights[ids[i] ?? 0] ?? 0;
    if (sum >= target) return i + 1;
  }
  return ids.length;
}

function sumOf(ids: Uint32Array, weights: Float64Array): number {
  let total = 0;
  for (const id of ids) total += weights[id] ?? 0;
  return total;
}

/** A uniform number in [0, 1) for (seed, position), without state: SplitMix64's finalizer over a counter. 53 bits. */
export function uniformAt(seed: number, position: number): number {
  const golden = 0x9e3779b97f4a7c15n;
  let z = BigInt.asUintN(64, BigInt(seed) * 0xd1342543de82ef95n + BigInt(position + 1) * golden);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return Number((z ^ (z >> 31n)) >> 11n) / 2 ** 53;
}
