/** Random numbers by the billion: what a file of weights is filled with. */

/** Half-precision values that a tensor's are drawn from. */
const CHOICES = 1 << 16;

/** xorshift32, seeded: the same command writes the same file. Twice as quick as node:crypto, and no worse for this. */
export class RandomBits {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e37_79b9) | 1;
  }

  /** Fills with 32 random bits each. */
  write(words: Uint32Array): void {
    let state = this.#state;
    for (let i = 0; i < words.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
    this.#state = state;
  }
}

/** Values of a normal distribution as binary16 bits, each as often as it should be, in order. */
export function normalChoices(mean: number, deviation: number): Uint16Array {
  const bits = new Uint16Array(CHOICES);
  const values = QUANTILES.map((value) => mean + deviation * value);
  const words = new Uint32Array(values.buffer);
  for (let i = 0; i < CHOICES; i++) bits[i] = float16Bits(words[i] ?? 0);
  return bits;
}

/** Takes a value for each 16 random bits that `target` holds. */
export function choose(target: Uint16Array, choices: Uint16Array): void {
  for (let i = 0; i < target.length; i++) target[i] = choices[target[i] ?? 0] ?? 0;
}

/** The normal distribution's quantiles, by counting up its density: exact enough for weights. */
function standardNormal(): Float32Array<ArrayBuffer> {
  const quantiles = new Float32Array(CHOICES);
  const step = 1e-5;
  let mass = 0;
  let next = 0;
  for (let x = -6; x < 6 && next < CHOICES; x += step) {
    mass += (step * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
    while (next < CHOICES && mass >= (next + 0.5) / CHOICES) quantiles[next++] = x;
  }
  return quantiles.fill(4.2, next);
}

const QUANTILES = standardNormal();

/** Rounds towards zero; normal numbers and zero only, which all of these are that matter. */
function float16Bits(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fff_ffff;
  return magnitude < 0x3880_0000 ? sign : sign | ((magnitude - 0x3800_0000) >>> 13);
}
