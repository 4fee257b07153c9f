/** Logits → one token. A pure function of (logits, settings, seed, position): who computes it makes no difference. */

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
 * Hugging Face transformers. logits [vocabulary], not changed.
 */
export function sampleToken(logits: Float32Array, settings: SamplingSettings, position: number): number {
  if (settings.temperature <= GREEDY_TEMPERATURE) return mostLikely(logits);
  const candidates = keepLikely(logits, settings);
  const uniform = uniformAt(settings.seed, position);
  let rest = uniform * candidates.total;
  for (const [i, weight] of candidates.weights.entries()) {
    rest -= weight;
    if (rest < 0) return candidates.ids[i] ?? mostLikely(logits);
  }
  return candidates.ids.at(-1) ?? mostLikely(logits);
}

/** The first of the largest logits. */
export function mostLikely(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if ((logits[i] ?? 0) > (logits[best] ?? 0)) best = i;
  return best;
}

interface Candidates {
  readonly ids: readonly number[];
  /** Not normalized: e^((logit − max) / temperature). */
  readonly weights: readonly number[];
  readonly total: number;
}

function keepLikely(logits: Float32Array, { temperature, topP, topK }: SamplingSettings): Candidates {
  const peak = logits[mostLikely(logits)] ?? 0;
  const weightOf = (id: number): number => Math.exp(((logits[id] ?? 0) - peak) / temperature);
  let ids = Array.from({ length: logits.length }, (_, id) => id);
  const isCut = topP < 1 || (topK > 0 && topK < ids.length);
  if (isCut) ids.sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
  if (topK > 0) ids = ids.slice(0, topK);
  let weights = ids.map(weightOf);
  let total = weights.reduce((a, b) => a + b, 0);
  if (topP < 1) {
    const kept = countUntil(weights, topP * total);
    ids = ids.slice(0, kept);
    weights = weights.slice(0, kept);
    total = weights.reduce((a, b) => a + b, 0);
  }
  return { ids, weights, total };
}

/** How many leading weights it takes to reach `target`; at least one. */
function countUntil(weights: readonly number[], target: number): number {
  let sum = 0;
  const index = weights.findIndex((weight) => (sum += weight) >= target);
  return index === -1 ? weights.length : index + 1;
}

/**
 * A uniform number in [0, 1) for (seed, position), without state: SplitMix64's finalizer over a counter. 53 bits.
 */
export function uniformAt(seed: number, position: number): number {
  const golden = 0x9e3779b97f4a7c15n;
  let z = BigInt.asUintN(64, BigInt(Math.trunc(seed)) * 0xd1342543de82ef95n + BigInt(position + 1) * golden);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return Number((z ^ (z >> 31n)) >> 11n) / 2 ** 53;
}
