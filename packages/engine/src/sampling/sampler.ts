/** Samples one token from logits: a pure function of (logits, settings, seed, position), the same on every worker. */
import { LlavaError } from "@llava/protocol";
import { exponential } from "./fast-exp.ts";

export interface SamplingSettings {
  /** At or below GREEDY_TEMPERATURE the most likely token is taken. */
  readonly temperature: number;
  /** Keep the smallest set of most likely tokens whose probabilities reach this sum; 1 keeps all. */
  readonly topP: number;
  /** Keep this many most likely tokens; 0 keeps all. */
  readonly topK: number;
  /** Keep tokens that are at least this many times as likely as the most likely one; 0 keeps all. */
  readonly minP?: number;
  readonly seed: number;
}

/** LLaVA samples only above this temperature. */
const GREEDY_TEMPERATURE = 0.001;

/**
 * The token at `position` of the answer (0 is its first). Temperature, top-k, top-p and min-p are applied in this order, as
 * in Hugging Face transformers. logits [vocabulary], not changed. Throws `runtime_failure` when they are not numbers.
 */
export function sampleToken(logits: Float32Array, settings: SamplingSettings, position: number): number {
  const best = mostLikely(logits);
  if (settings.temperature <= GREEDY_TEMPERATURE) return best;
  const weights = relativeWeights(logits, best, settings.temperature);
  const total = keepLikely(logits, logits[best] ?? 0, weights, settings);
  let rest = uniformAt(settings.seed, position) * total;
  let last = best;
  for (let id = 0; id < weights.length; id++) {
    const weight = weights[id] ?? 0;
    if (weight === 0) continue;
    rest -= weight;
    if (rest < 0) return id;
    last = id;
  }
  // Rounding left a rest above the last weight.
  return last;
}

/** The first of the largest logits. */
export function mostLikely(logits: Float32Array): number {
  let best = 0;
  let largest = -Infinity;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] ?? 0;
    // Written so that NaN passes, and ends the loop.
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

/** Sampling is one call without a pause, so that all calls share their memory: [vocabulary] each. */
let sharedWeights = new Float64Array(0);
let sharedBuckets = new Uint16Array(0);

/** e^((logit − largest) / temperature): probabilities up to one common factor. Valid until the next call. */
function relativeWeights(logits: Float32Array, best: number, temperature: number): Float64Array {
  if (sharedWeights.length !== logits.length) sharedWeights = new Float64Array(logits.length);
  const weights = sharedWeights;
  const largest = logits[best] ?? 0;
  const scale = 1 / temperature;
  for (let id = 0; id < logits.length; id++) weights[id] = exponential(((logits[id] ?? 0) - largest) * scale);
  return weights;
}

/** Makes the weights of tokens that are not kept 0, in place; returns the sum of the others. */
function keepLikely(
  logits: Float32Array,
  largest: number,
  weights: Float64Array,
  { topP, topK, minP = 0, temperature }: SamplingSettings,
): number {
  const isTopK = topK > 0 && topK < logits.length;
  // The most likely token has the weight 1, so that a weight is what min-p compares.
  if (!isTopK && topP >= 1) return keepAtLeast(minP, weights);
  const scale = BUCKETS_PER_UNIT / temperature;
  fillBuckets(logits, largest, scale, weights);
  if (isTopK) cutBehind(logits, weights, { count: topK, mass: Infinity });
  if (topP < 1) {
    const mass = topP * keepAtLeast(0, weights);
    if (isTopK) fillBuckets(logits, largest, scale, weights);
    cutBehind(logits, weights, { count: Infinity, mass });
  }
  return keepAtLeast(minP, weights);
}

function keepAtLeast(least: number, weights: Float64Array): number {
  let total = 0;
  for (let id = 0; id < weights.length; id++) {
    const weight = weights[id] ?? 0;
    if (weight >= least) total += weight;
    else weights[id] = 0;
  }
  return total;
}

/**
 * Tokens by likelihood, without sorting a vocabulary: 32 buckets for each factor of two, the most likely tokens in the
 * first. Tokens below 2^-63 of the most likely one are beyond what a uniform number of 53 bits can draw; with a cut they
 * are never kept, and they are in the last bucket.
 */
const BUCKETS = 32 * 63 + 1;
const BUCKETS_PER_UNIT = 32 / Math.LN2;
const counts = new Uint32Array(BUCKETS);
const masses = new Float64Array(BUCKETS);

/** Fills `sharedBuckets`, `counts` and `masses`; tokens of weight 0 are in the last bucket. */
function fillBuckets(logits: Float32Array, largest: number, scale: number, weights: Float64Array): void {
  if (sharedBuckets.length !== weights.length) sharedBuckets = new Uint16Array(weights.length);
  counts.fill(0);
  masses.fill(0);
  for (let id = 0; id < weights.length; id++) {
    const weight = weights[id] ?? 0;
    const distance = weight === 0 ? BUCKETS : (largest - (logits[id] ?? 0)) * scale;
    const bucket = distance < BUCKETS - 1 ? Math.floor(distance) : BUCKETS - 1;
    sharedBuckets[id] = bucket;
    counts[bucket] = (counts[bucket] ?? 0) + 1;
    masses[bucket] = (masses[bucket] ?? 0) + weight;
  }
}

/** Keeps tokens from the likeliest down until their count or their mass is enough; at least one. */
function cutBehind(
  logits: Float32Array,
  weights: Float64Array,
  enough: { readonly count: number; readonly mass: number },
): void {
  const last = BUCKETS - 1;
  let border = 0;
  let count = 0;
  let mass = 0;
  for (; border < last; border++) {
    const nextCount = count + (counts[border] ?? 0);
    const nextMass = mass + (masses[border] ?? 0);
    if (nextCount >= enough.count || nextMass >= enough.mass) break;
    count = nextCount;
    mass = nextMass;
  }
  const atBorder: number[] = [];
  for (let id = 0; id < weights.length; id++) {
    const bucket = sharedBuckets[id] ?? 0;
    if (bucket > border || bucket === last) weights[id] = 0;
    else if (bucket === border) atBorder.push(id);
  }
  // Equal logits in order of their ids.
  atBorder.sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
  for (const id of atBorder) {
    if (count > 0 && (count >= enough.count || mass >= enough.mass)) weights[id] = 0;
    else {
      count += 1;
      mass += weights[id] ?? 0;
    }
  }
}

/** A uniform number in [0, 1) for (seed, position), without state: SplitMix64's finalizer over a counter. 53 bits. */
export function uniformAt(seed: number, position: number): number {
  const golden = 0x9e3779b97f4a7c15n;
  let z = BigInt.asUintN(64, BigInt(seed) * 0xd1342543de82ef95n + BigInt(position + 1) * golden);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return Number((z ^ (z >> 31n)) >> 11n) / 2 ** 53;
}
