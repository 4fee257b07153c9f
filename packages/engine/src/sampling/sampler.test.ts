import { array, assert, constantFrom, double, integer, oneof, property, record } from "fast-check";
import { describe, expect, it } from "vitest";
import { mostLikely, sampleToken, type SamplingSettings, uniformAt } from "./sampler.ts";

const greedy: SamplingSettings = { temperature: 0, topP: 1, topK: 0, seed: 0 };
const plain: SamplingSettings = { ...greedy, temperature: 1 };

const someLogits = array(oneof(double({ min: -20, max: 20, noNaN: true }), constantFrom(0, 1, -Infinity)), {
  minLength: 1,
  maxLength: 40,
})
  .map((values) => Float32Array.from(values))
  .filter((logits) => logits.some(Number.isFinite));
const someSettings = record({
  temperature: double({ min: 0.05, max: 4, noNaN: true }),
  topP: oneof(constantFrom(0, 1), double({ min: 0, max: 1, noNaN: true })),
  topK: oneof(constantFrom(0, 1), integer({ min: 0, max: 50 })),
  minP: oneof(constantFrom(0, 1), double({ min: 0, max: 1, noNaN: true })),
  seed: integer(),
});

/** As one would write it on a blackboard: sort all, cut, normalize, cut, normalize. */
function probabilities(
  logits: Float32Array,
  { temperature, topP, topK, minP = 0 }: SamplingSettings,
): Map<number, number> {
  const largest = Math.max(...logits);
  let likely = Array.from(logits, (logit, id) => ({
    id,
    logit,
    weight: Math.exp((logit - largest) / temperature),
  })).sort((a, b) => b.logit - a.logit || a.id - b.id);
  if (topK > 0) likely = likely.slice(0, topK);
  const whole = likely.reduce((sum, { weight }) => sum + weight, 0);
  const kept = new Map<number, number>();
  let mass = 0;
  for (const { id, weight } of likely) {
    kept.set(id, weight);
    mass += weight;
    if (topP < 1 && mass >= topP * whole) break;
  }
  const most = Math.max(...kept.values());
  const last = [...kept].filter(([, weight]) => weight >= minP * most);
  const rest = last.reduce((sum, [, weight]) => sum + weight, 0);
  return new Map(last.map(([id, weight]) => [id, weight / rest]));
}

/** How far the counts are from what they should be: Pearson's statistic, of one degree less than there are tokens. */
function chiSquare(
  counts: ReadonlyMap<number, number>,
  expected: ReadonlyMap<number, number>,
  draws: number,
): number {
  return [...expected].reduce((sum, [token, share]) => {
    const due = share * draws;
    return sum + ((counts.get(token) ?? 0) - due) ** 2 / due;
  }, 0);
}

/** What the statistic exceeds once in a million times, by degrees of freedom from 0: quantiles of its distribution. */
const CHI_SQUARE_1E6 = [1e-9, 23.93, 27.63, 30.66, 33.38, 35.89, 38.26] as const;

describe("greedy decoding", () => {
  it("takes the first of the largest logits, whatever the seed", () => {
    for (let seed = 0; seed < 20; seed++) {
      expect(sampleToken(Float32Array.of(-1, 3, 2, 3), { ...greedy, seed }, seed)).toBe(1);
    }
    expect(sampleToken(Float32Array.of(-1, 3, 2, 3), { ...plain, temperature: 0.001 }, 0)).toBe(1);
    expect(sampleToken(Float32Array.of(-Infinity, -5), greedy, 0)).toBe(1);
  });

  it("is what top-k 1 and top-p 0 leave", () => {
    assert(
      property(someLogits, integer(), (logits, seed) => {
        const best = mostLikely(logits);
        expect(sampleToken(logits, { ...plain, topK: 1, seed }, 3)).toBe(best);
        expect(sampleToken(logits, { ...plain, topP: 0, seed }, 3)).toBe(best);
      }),
    );
  });

  it.each([
    ["NaN first", [Number.NaN, 1, 2]],
    ["NaN in between", [3, Number.NaN, 2]],
    ["NaN last", [3, 2, Number.NaN]],
    ["infinite", [3, Infinity, 2]],
    ["nothing possible", [-Infinity, -Infinity]],
  ])("refuses logits that are no likelihoods: %s", (_, values) => {
    const error = expect.objectContaining({
      code: "runtime_failure",
      message: expect.stringContaining("damaged"),
    });
    for (const settings of [greedy, plain, { ...plain, topP: 0.5 }]) {
      expect(() => sampleToken(Float32Array.from(values), settings, 0)).toThrow(error);
    }
  });
});

describe("sampling", () => {
  it("takes the token whose share of [0, 1) holds the uniform number, as the slow reference does", () => {
    assert(
      property(someLogits, someSettings, integer({ min: 0, max: 1000 }), (logits, settings, position) => {
        const expected = probabilities(logits, settings);
        const order = [...expected].sort(([a], [b]) => a - b);
        const uniform = uniformAt(settings.seed, position);
        const token = sampleToken(logits, settings, position);
        let mass = 0;
        for (const [id, share] of order) {
          if (id === token) {
            expect(uniform).toBeGreaterThanOrEqual(mass - 1e-9);
            expect(uniform).toBeLessThan(mass + share + 1e-9);
            return;
          }
          mass += share;
        }
        expect.unreachable(`${token} is not among ${[...expected.keys()].join()}`);
      }),
      { numRuns: 500 },
    );
  });

  it.each<Partial<SamplingSettings>>([
    {},
    { temperature: 0.4 },
    { temperature: 3 },
    { topK: 3 },
    { topP: 0.7 },
    { temperature: 2, topK: 4, topP: 0.8 },
    { minP: 0.3 },
    { temperature: 3, minP: 0.5, topK: 5, topP: 0.9 },
  ])("draws each token as often as its probability says: %o", (change) => {
    const logits = Float32Array.of(0, 2, 1, -1, 1.5, 0.5, -3);
    const settings = { ...plain, ...change };
    const draws = 20_000;
    const counts = new Map<number, number>();
    for (let position = 0; position < draws; position++) {
      const token = sampleToken(logits, { ...settings, seed: 11 }, position);
      counts.set(token, (counts.get(token) ?? 0) + 1);
    }
    const expected = probabilities(logits, settings);
    expect([...counts.keys()].every((token) => expected.has(token))).toBe(true);
    expect(chiSquare(counts, expected, draws)).toBeLessThan(CHI_SQUARE_1E6[expected.size - 1] ?? 0);
  });

  it("depends on logits, settings, seed and position, and on nothing else", () => {
    const logits = Float32Array.from({ length: 300 }, (_, id) => Math.sin(id));
    const before = Float32Array.from(logits);
    const tokens = (seed: number): number[] =>
      Array.from({ length: 50 }, (_, position) =>
        sampleToken(logits, { ...plain, topP: 0.9, seed }, position),
      );
    const forward = tokens(5);
    const backward = Array.from({ length: 50 }, (_, i) =>
      sampleToken(logits, { ...plain, topP: 0.9, seed: 5 }, 49 - i),
    );
    expect(backward.toReversed()).toEqual(forward);
    expect(tokens(6)).not.toEqual(forward);
    expect(new Set(forward).size).toBeGreaterThan(10);
    expect(logits).toEqual(before);
  });
});

it("sampling never takes an impossible token, not even at the edge of rounding", () => {
  const logits = Float32Array.of(-Infinity, 0, -Infinity, 0.5, -Infinity);
  for (const change of [{}, { topP: 0.99 }, { topK: 4 }, { minP: 0.01 }]) {
    for (let seed = 0; seed < 500; seed++)
      expect([1, 3]).toContain(sampleToken(logits, { ...plain, ...change, seed }, 0));
  }
});

describe("uniformAt", () => {
  it("spreads evenly over [0, 1) along positions and along seeds", () => {
    for (const draw of [(i: number) => uniformAt(3, i), (i: number) => uniformAt(i, 3)]) {
      const values = Array.from({ length: 20_000 }, (_, i) => draw(i));
      expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...values)).toBeLessThan(1);
      const tenths = Array.from(
        { length: 10 },
        (_, i) => values.filter((value) => Math.floor(value * 10) === i).length,
      );
      // 2000 each; the deviation of a count is 42.
      for (const count of tenths) expect(Math.abs(count - 2000)).toBeLessThan(200);
      const lag = values
        .slice(1)
        .reduce((sum, value, i) => sum + (value - 0.5) * ((values[i] ?? 0) - 0.5), 0);
      expect(Math.abs(lag / values.length)).toBeLessThan(0.003);
    }
  });

  it("takes negative seeds and large ones", () => {
    const seeds = [0, -1, 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
    const values = seeds.map((seed) => uniformAt(seed, 0));
    expect(new Set(values).size).toBe(seeds.length);
    for (const value of values) expect(value >= 0 && value < 1).toBe(true);
  });
});
