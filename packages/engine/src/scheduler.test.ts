import { array, assert, integer, property, record } from "fast-check";
import { describe, expect, it } from "vitest";
import { Detokenizer } from "./detokenizer.ts";
import { type Plan, schedule } from "./scheduler.ts";
import { type PromptPicture, Sequence } from "./sequence.ts";

interface Shape {
  /** Text tokens before, between and after pictures. */
  readonly gaps: readonly number[];
  readonly pictureTokens: number;
}

function sequenceOf({ gaps, pictureTokens }: Shape, maxTokens = 3): Sequence {
  const ids: number[] = [];
  const pictures: PromptPicture[] = [];
  for (const [i, gap] of gaps.entries()) {
    if (i > 0) {
      pictures.push({ pixels: new Float32Array(), start: ids.length, tokens: pictureTokens });
      for (let token = 0; token < pictureTokens; token++) ids.push(0);
    }
    for (let token = 0; token < gap; token++) ids.push(7);
  }
  const tokens = {
    tokenBytes: () => new Uint8Array(),
    specialIds: new Set<number>(),
    stripsLeadingSpace: false,
  };
  return new Sequence({
    prompt: { ids, pictures },
    sampling: { temperature: 0, topP: 1, topK: 0, seed: 0 },
    maxTokens,
    endTokens: new Set(),
    detokenizer: new Detokenizer(tokens, []),
    arrivedAt: 0,
    signal: new AbortController().signal,
  });
}

/** What the engine does after a run, with some token as the answer. */
function commit(plan: Plan): void {
  if (plan.kind === "encode") return plan.sequence.commitPicture(0);
  if (plan.kind === "prefill") {
    plan.sequence.commitCached(plan.to - plan.from);
    if (plan.to === plan.sequence.prompt.ids.length) plan.sequence.commitToken(5, 0);
    return;
  }
  for (const sequence of plan.sequences) {
    sequence.commitCached(1);
    sequence.commitToken(5, 0);
  }
}

/** All plans until every sequence has ended. */
function runAll(sequences: readonly Sequence[], chunkTokens: number): Plan[] {
  const plans: Plan[] = [];
  for (;;) {
    const plan = schedule(
      sequences.filter(({ isDone }) => !isDone),
      { chunkTokens },
    );
    if (!plan) return plans;
    plans.push(plan);
    commit(plan);
    expect(plans.length).toBeLessThan(1000);
  }
}

const summary = (plan: Plan | undefined): unknown[] => {
  if (!plan) return [];
  if (plan.kind === "encode") return ["encode", plan.picture];
  return plan.kind === "prefill" ? ["prefill", plan.from, plan.to] : ["decode", plan.sequences.length];
};

describe("schedule", () => {
  it("has nothing to do without sequences", () => {
    expect(schedule([], { chunkTokens: 8 })).toBeUndefined();
  });

  it("encodes, puts the prompt into the cache chunk by chunk, then decodes", () => {
    const plans = runAll([sequenceOf({ gaps: [3, 9], pictureTokens: 4 })], 8);
    expect(plans.map(summary)).toEqual([
      ["encode", 0],
      ["prefill", 0, 8],
      ["prefill", 8, 16],
      ["decode", 1],
      ["decode", 1],
    ]);
  });

  it("decodes whoever can before anyone's prompt", () => {
    const [ready, fresh] = [
      sequenceOf({ gaps: [2], pictureTokens: 4 }),
      sequenceOf({ gaps: [2], pictureTokens: 4 }),
    ];
    const first = schedule([ready], { chunkTokens: 8 });
    if (first) commit(first);
    expect(schedule([fresh, ready], { chunkTokens: 8 })).toEqual({ kind: "decode", sequences: [ready] });
  });

  it("is a function of the sequences: asked again, it says the same, and changes nothing", () => {
    const sequence = sequenceOf({ gaps: [3, 9], pictureTokens: 4 });
    expect(schedule([sequence], { chunkTokens: 8 })).toEqual(schedule([sequence], { chunkTokens: 8 }));
    expect([sequence.cachedTokens, sequence.nextPicture]).toEqual([0, 0]);
  });

  it("ends a chunk where a second picture begins", () => {
    const plans = runAll([sequenceOf({ gaps: [1, 0, 2, 1], pictureTokens: 4 })], 100);
    const chunks = plans.filter(({ kind }) => kind === "prefill").map(summary);
    expect(chunks).toEqual([
      ["prefill", 0, 5],
      ["prefill", 5, 11],
      ["prefill", 11, 16],
    ]);
  });

  it("covers every prompt once, in order, in chunks within the budget that touch at most one picture", () => {
    const someShape = record({
      gaps: array(integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 5 }),
      pictureTokens: integer({ min: 1, max: 9 }),
    }).map(({ gaps, pictureTokens }) => ({ gaps: [1, ...gaps], pictureTokens }));
    assert(
      property(
        array(someShape, { minLength: 1, maxLength: 3 }),
        integer({ min: 1, max: 12 }),
        (shapes, chunkTokens) => {
          const sequences = shapes.map((shape) => sequenceOf(shape));
          const reached = new Map(sequences.map((sequence) => [sequence, 0]));
          for (const plan of runAll(sequences, chunkTokens)) {
            if (plan.kind !== "prefill") continue;
            const { sequence, from, to } = plan;
            const { pictures, ids } = sequence.prompt;
            expect(from).toBe(reached.get(sequence));
            expect(to).toBeGreaterThan(from);
            expect(to).toBeLessThanOrEqual(Math.min(ids.length, from + chunkTokens));
            expect(
              pictures.filter(({ start, tokens }) => start < to && start + tokens > from).length,
            ).toBeLessThanOrEqual(1);
            reached.set(sequence, to);
          }
          for (const sequence of sequences) {
            expect(reached.get(sequence)).toBe(sequence.prompt.ids.length);
            expect([sequence.isDone, sequence.generatedTokens]).toEqual([true, 3]);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
