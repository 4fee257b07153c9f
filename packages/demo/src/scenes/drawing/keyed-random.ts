/** Makes random numbers that are functions of a seed and keys, so that every sample and every initial value is too. */

/**
 * A counter-based generator: the n-th number is a hash of (key, n), so equal seeds give equal streams on every machine.
 * The mixing steps are the 32-bit finalizers of MurmurHash3.
 */
export class Random {
  readonly #key: number;
  #counter = 0;

  constructor(seed: number) {
    this.#key = mix((seed >>> 0) ^ 0x9e3779b9 ^ mix(Math.floor(seed / 0x100000000) | 0));
  }

  /** A stream that depends on the seed and every key; different keys give unrelated streams. */
  static of(seed: number, ...keys: readonly (number | string)[]): Random {
    let key = seed >>> 0;
    for (const part of keys) key = mix(key ^ hash(part)) + 0x6d2b79f5;
    return new Random(key);
  }

  /** Uniform in [0, 1), 32 bits. */
  next(): number {
    this.#counter = (this.#counter + 0x9e3779b9) | 0;
    return mix(mix(this.#counter ^ this.#key) + this.#key) / 0x100000000;
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** Uniform integer in [0, n). */
  int(n: number): number {
    return Math.floor(this.next() * n);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One element of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    const value = list[this.int(list.length)];
    if (value === undefined) throw new RangeError("Random.pick needs a list with at least one element.");
    return value;
  }

  /** An index in [0, weights.length), drawn in proportion to its weight. */
  weighted(weights: readonly number[]): number {
    let left = this.next() * weights.reduce((sum, weight) => sum + weight, 0);
    for (let i = 0; i < weights.length; i++) {
      left -= weights[i] ?? 0;
      if (left < 0) return i;
    }
    return weights.length - 1;
  }

  /** A shuffled copy. */
  shuffle<T>(list: readonly T[]): T[] {
    return list
      .map((value) => ({ value, order: this.next() }))
      .sort((a, b) => a.order - b.order)
      .map(({ value }) => value);
  }
}

function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

function hash(key: number | string): number {
  if (typeof key === "number") return mix(key ^ mix(Math.floor(key / 0x100000000)));
  let h = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193);
  return mix(h);
}
