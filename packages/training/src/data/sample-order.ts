/** Decides which sample stands at each position of a run, as a function of the position: there is nothing to save. */

export interface SampleNumber {
  /** Number of the sample in its dataset. */
  readonly index: number;
  /** Number of whole passes over the dataset before this one. */
  readonly epoch: number;
}

/** The sample at a position of the run; positions count from 0 and go on over all epochs. */
export type SampleOrder = (position: number) => SampleNumber;

/** The samples in the order of their numbers, pass after pass. */
export function inOrder(length: number): SampleOrder {
  requireSamples(length);
  return (position) => ({ index: position % length, epoch: Math.floor(position / length) });
}

/** Every sample once in each pass, in an order that depends on the seed and the pass. */
export function shuffled(length: number, seed: number): SampleOrder {
  requireSamples(length);
  const halfBits = Math.max(1, Math.ceil(Math.log2(length) / 2));
  return (position) => {
    const epoch = Math.floor(position / length);
    let index = position % length;
    // The permutation is of all numbers of 2·halfBits bits: numbers beyond the dataset are permuted on (cycle walking).
    do index = feistel(index, halfBits, mix(mix(seed) + epoch));
    while (index >= length);
    return { index, epoch };
  };
}

const ROUNDS = 4;

/**
 * A permutation of the numbers below 2^(2·halfBits), made of a keyed function by Luby and Rackoff's construction (SIAM J.
 * Comput. 1988): unlike a shuffled list it takes no memory, and each position is found by itself.
 */
function feistel(value: number, halfBits: number, key: number): number {
  const size = 2 ** halfBits;
  let left = Math.floor(value / size);
  let right = value % size;
  for (let round = 0; round < ROUNDS; round++)
    [left, right] = [right, (left ^ mix(right ^ mix(key + round))) & (size - 1)];
  return left * size + right;
}

/** The 32-bit finalizer of MurmurHash3. */
function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

function requireSamples(length: number): void {
  if (Number.isSafeInteger(length) && length > 0) return;
  throw new RangeError(`A dataset needs at least one sample, but its length is ${length}.`);
}
