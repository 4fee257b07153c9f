import { array, assert, double, integer, property, record } from "fast-check";
import { describe, expect, it } from "vitest";
import type { GrammarMatcher } from "../grammar/grammar.ts";
import { type LogitsPipelineOptions, type ChoiceSettings, LogitsPipeline } from "./logits-pipeline.ts";
import { sampleToken } from "./sampler.ts";

const VOCABULARY = 12;
const END = 11;
const greedy: ChoiceSettings = { temperature: 0, topP: 1, topK: 0, seed: 0 };

function pipelineOf(
  settings: Partial<ChoiceSettings>,
  more: Partial<LogitsPipelineOptions> = {},
): LogitsPipeline {
  return new LogitsPipeline({
    settings: { ...greedy, ...settings },
    promptIds: [],
    endTokens: new Set([END]),
    ...more,
  });
}

const someLogits = array(double({ min: -8, max: 8, noNaN: true }), {
  minLength: VOCABULARY,
  maxLength: VOCABULARY,
}).map((values) => Float32Array.from(values));
const someIds = array(integer({ min: 0, max: VOCABULARY - 2 }), { maxLength: 15 });
const somePenalties = record({
  repetition: double({ min: 0.1, max: 3, noNaN: true }),
  presence: double({ min: -2, max: 2, noNaN: true }),
  frequency: double({ min: -2, max: 2, noNaN: true }),
});

/** vLLM's definition, written out for every token of the vocabulary. */
function penalized(
  logits: Float32Array,
  { repetition, presence, frequency }: NonNullable<ChoiceSettings["penalties"]>,
  prompt: readonly number[],
  answer: readonly number[],
): Float32Array {
  return logits.map((logit, id) => {
    const count = answer.filter((said) => said === id).length;
    const isRepeated = count > 0 || prompt.includes(id);
    let changed = Math.fround(logit);
    if (isRepeated) changed = Math.fround(changed > 0 ? changed / repetition : changed * repetition);
    return changed - frequency * count - (count > 0 ? presence : 0);
  });
}

describe("penalties", () => {
  it("are those of the slow reference, over prompt and answer", () => {
    assert(
      property(someLogits, somePenalties, someIds, someIds, (logits, penalties, prompt, answer) => {
        const settings = { penalties, temperature: 1, seed: 5 };
        const own = pipelineOf(settings, { promptIds: prompt });
        for (const id of answer) own.accept(id);
        const before = Float32Array.from(logits);
        const expected = sampleToken(
          penalized(logits, penalties, prompt, answer),
          { ...greedy, ...settings },
          answer.length,
        );
        expect(own.choose(logits).id).toBe(expected);
        expect(logits).toEqual(before);
      }),
      { numRuns: 500 },
    );
  });

  it("lower tokens that are in the answer, more the more often they are in it", () => {
    const logits = new Float32Array(VOCABULARY);
    logits.set([1, 0.8, 0.5]);
    const said = (presence: number, frequency: number, answer: readonly number[]): number => {
      const own = pipelineOf({ penalties: { repetition: 1, presence, frequency } });
      for (const id of answer) own.accept(id);
      return own.choose(logits).id;
    };
    expect(said(0.3, 0, [])).toBe(0);
    expect(said(0.3, 0, [0])).toBe(1);
    expect(said(0.3, 0, [0, 0, 1])).toBe(0);
    expect(said(0, 0.15, [0])).toBe(0);
    expect(said(0, 0.15, [0, 0])).toBe(1);
    expect(said(-1, 0, [2])).toBe(2);
  });
});

it("logit bias makes a token certain, and -100 as good as impossible", () => {
  const logits = new Float32Array(VOCABULARY);
  const drawn = (bias: number): Set<number> => {
    const own = pipelineOf({ temperature: 1, seed: 3, logitBias: new Map([[4, bias]]) });
    return new Set(
      Array.from({ length: 200 }, () => {
        const { id } = own.choose(logits);
        own.accept(id);
        return id;
      }),
    );
  };
  expect(drawn(100)).toEqual(new Set([4]));
  expect(drawn(-100)).not.toContain(4);
  expect(drawn(0)).toContain(4);
});

it("min_tokens: no end token comes before, also with bias or greedy", () => {
  const logits = new Float32Array(VOCABULARY);
  logits[END] = 50;
  logits[3] = 1;
  const own = pipelineOf({ minTokens: 2, logitBias: new Map([[END, 100]]) });
  for (const expected of [3, 3, END]) {
    const { id } = own.choose(logits);
    expect(id).toBe(expected);
    own.accept(id);
  }
});

describe("logprobs", () => {
  it("are the model's own, whatever the request does to the logits", () => {
    const logits = Float32Array.from({ length: VOCABULARY }, (_, id) => id / 10);
    const plain = pipelineOf({ topLogprobs: 2 }).choose(logits);
    const bent = pipelineOf({ topLogprobs: 2, logitBias: new Map([[2, 100]]) }).choose(logits);
    expect(plain.id).toBe(END);
    expect(bent.id).toBe(2);
    expect(bent.logprobs?.top).toEqual(plain.logprobs?.top);
    expect(bent.logprobs?.logprob).toBeCloseTo((plain.logprobs?.logprob ?? 0) - 0.9, 6);
  });

  it("are absent where the request does not ask for them", () => {
    expect(pipelineOf({}).choose(new Float32Array(VOCABULARY))).toEqual({ id: 0 });
    expect(pipelineOf({ topLogprobs: 0 }).choose(new Float32Array(VOCABULARY)).logprobs?.top).toEqual([]);
  });
});

it("the grammar decides before bias, and ends an answer below min_tokens that cannot go on", () => {
  const taken: number[] = [];
  const grammar: GrammarMatcher = {
    accept: (id) => taken.push(id),
    mask: (logits) => {
      const only = taken.length === 0 ? 6 : END;
      logits.forEach((_, id) => id !== only && (logits[id] = -Infinity));
      return only === END;
    },
    [Symbol.dispose]: () => undefined,
  };
  const own = pipelineOf({ minTokens: 9, logitBias: new Map([[2, 100]]) }, { grammar });
  const logits = new Float32Array(VOCABULARY);
  for (const expected of [6, END]) {
    const { id } = own.choose(logits);
    expect(id).toBe(expected);
    own.accept(id);
  }
  expect(taken).toEqual([6]);
});

it("choosing changes nothing: a step can be thrown away", () => {
  const settings = { temperature: 1, seed: 9, penalties: { repetition: 1.3, presence: 1, frequency: 0.5 } };
  const [careful, hasty] = [pipelineOf(settings), pipelineOf(settings)];
  const logits = Float32Array.from({ length: VOCABULARY }, (_, id) => Math.sin(id));
  for (let position = 0; position < 30; position++) {
    for (let again = 0; again < 3; again++) careful.choose(logits);
    const { id } = careful.choose(logits);
    expect(hasty.choose(logits).id).toBe(id);
    careful.accept(id);
    hasty.accept(id);
  }
});
