import { array, assert, integer, property, record } from "fast-check";
import { planImage } from "@llava/processing";
import { describe, expect, it } from "vitest";
import { Detokenizer } from "../sampling/detokenizer.ts";
import { type Plan, schedule, sequencesOf, type Turn } from "./scheduler.ts";
import { type PromptImage, Sequence } from "./sequence.ts";

interface Shape {
  /** Text tokens before, between and after images. */
  readonly gaps: readonly number[];
  readonly imageTokens: number;
}

function sequenceOf({ gaps, imageTokens }: Shape, maxTokens = 3): Sequence {
  const ids: number[] = [];
  const images: PromptImage[] = [];
  for (const [i, gap] of gaps.entries()) {
    if (i > 0) {
      const plan = planImage(
        { width: 1, height: 1 },
        { size: 1, shape: "pad", mean: [0, 0, 0] },
        imageTokens,
      );
      images.push({ key: `${i}`, plan, pixels: new Float32Array(3), start: ids.length, tokens: imageTokens });
      for (let token = 0; token < imageTokens; token++) ids.push(0);
    }
    for (let token = 0; token < gap; token++) ids.push(7);
  }
  const tokens = {
    tokenBytes: () => new Uint8Array(),
    specialIds: new Set<number>(),
    stripsLeadingSpace: false,
  };
  return new Sequence({
    prompt: { ids, images },
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
  if (plan.kind === "prefill") {
    plan.sequence.commitCached(plan.to - plan.from);
    if (plan.to === plan.sequence.ids.length) plan.sequence.commitToken({ id: 5 }, 0);
    return;
  }
  for (const sequence of sequencesOf(plan)) {
    sequence.commitCached(1);
    sequence.commitToken({ id: 5 }, 0);
  }
}

const turn = (chunkTokens: number, isPromptsTurn = true): Turn => ({
  chunkTokens,
  draftTokens: 0,
  isPromptsTurn,
});

/** All plans until every sequence has ended. */
function runAll(sequences: readonly Sequence[], chunkTokens: number): Plan[] {
  const plans: Plan[] = [];
  for (;;) {
    const running = sequences.filter(({ isDone }) => !isDone);
    const plan = schedule(running, turn(chunkTokens, plans.at(-1)?.kind !== "prefill"));
    if (!plan) return plans;
    plans.push(plan);
    commit(plan);
    expect(plans.length).toBeLessThan(1000);
  }
}

const summary = (plan: Plan | undefined): unknown[] => {
  if (!plan) return [];
  if (plan.kind === "verify") return ["verify", ...plan.draft];
  return plan.kind === "prefill" ? ["prefill", plan.from, plan.to] : ["decode", plan.sequences.length];
};

describe("schedule", () => {
  it("has nothing to do without sequences", () => {
    expect(schedule([], turn(8))).toBeUndefined();
  });

  it("puts the prompt into the cache chunk by chunk, then decodes", () => {
    const plans = runAll([sequenceOf({ gaps: [3, 9], imageTokens: 4 })], 8);
    expect(plans.map(summary)).toEqual([
      ["prefill", 0, 8],
      ["prefill", 8, 16],
      ["decode", 1],
      ["decode", 1],
    ]);
  });

  it("decodes a token for every sequence between two chunks of a prompt", () => {
    const [ready, fresh] = [
      sequenceOf({ gaps: [2], imageTokens: 4 }, 100),
      sequenceOf({ gaps: [20], imageTokens: 4 }),
    ];
    const first = schedule([ready], turn(8));
    if (first) commit(first);
    const plans = runAll([ready, fresh], 8).slice(0, 6);
    expect(plans.map(summary)).toEqual([
      ["prefill", 0, 8],
      ["decode", 1],
      ["prefill", 8, 16],
      ["decode", 1],
      ["prefill", 16, 20],
      ["decode", 2],
    ]);
  });

  it("is a pure function of the sequences: asked again, it gives the same plan, and changes nothing", () => {
    const sequence = sequenceOf({ gaps: [3, 9], imageTokens: 4 });
    expect(schedule([sequence], turn(8))).toEqual(schedule([sequence], turn(8)));
    expect([sequence.cachedTokens, sequence.pending]).toEqual([0, 16]);
  });

  it("drafts tokens for a sequence that runs alone, and no more than may come", () => {
    const repeating = (maxTokens: number): Sequence => {
      const sequence = sequenceOf({ gaps: [12], imageTokens: 4 }, maxTokens);
      sequence.commitCached(11);
      return sequence;
    };
    const guess = { ...turn(8), draftTokens: 4 };
    expect(summary(schedule([repeating(9)], guess))).toEqual(["verify", 7]);
    expect(summary(schedule([repeating(1)], guess))).toEqual(["decode", 1]);
    expect(summary(schedule([repeating(9), repeating(9)], guess))).toEqual(["decode", 2]);
    expect(summary(schedule([repeating(9)], turn(8)))).toEqual(["decode", 1]);
  });

  it("ends a chunk where a second image begins", () => {
    const plans = runAll([sequenceOf({ gaps: [1, 0, 2, 1], imageTokens: 4 })], 100);
    const chunks = plans.filter(({ kind }) => kind === "prefill").map(summary);
    expect(chunks).toEqual([
      ["prefill", 0, 5],
      ["prefill", 5, 11],
      ["prefill", 11, 16],
    ]);
  });

  it("covers every prompt once, in order, in chunks within the budget that touch at most one image", () => {
    const someShape = record({
      gaps: array(integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 5 }),
      imageTokens: integer({ min: 1, max: 9 }),
    }).map(({ gaps, imageTokens }) => ({ gaps: [1, ...gaps], imageTokens }));
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
            const { images, ids } = sequence.prompt;
            expect(from).toBe(reached.get(sequence));
            expect(to).toBeGreaterThan(from);
            expect(to).toBeLessThanOrEqual(Math.min(ids.length, from + chunkTokens));
            expect(
              images.filter(({ start, tokens }) => start < to && start + tokens > from).length,
            ).toBeLessThanOrEqual(1);
            reached.set(sequence, to);
          }
          for (const sequence of sequences) {
            // The last position may have been a decoding step's, when it was text and alone.
            expect(reached.get(sequence)).toBeGreaterThanOrEqual(sequence.prompt.ids.length - 1);
            expect([sequence.isDone, sequence.generatedTokens]).toEqual([true, 3]);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
