import { type ImagePlan, planImage } from "@llava/processing";
import { Value } from "@llava/runtime";
import { expect, it } from "vitest";
import { Detokenizer } from "../sampling/detokenizer.ts";
import { type PromptImage, Sequence } from "../scheduler/sequence.ts";
import { FeatureCache } from "./feature-cache.ts";
import { VisionQueue } from "./vision-queue.ts";

const TOKENS = 2;

/** Makes of each tile, which is one number, the rows [number, 0] and [number, 1]; notes the tiles of each run. */
class TileEncoder implements Disposable {
  readonly bytes = TOKENS * 2 * 4;
  readonly runs: (readonly number[])[] = [];
  readonly values: Value[] = [];
  failsAtRun = Infinity;

  async encode(tiles: readonly Float32Array[]): Promise<Value[]> {
    const numbers = tiles.map((tile) => tile[0] ?? NaN);
    this.runs.push(numbers);
    if (this.runs.length === this.failsAtRun) throw new Error("The run failed.");
    const made = numbers.map((number) =>
      Value.wrap("float32", Float32Array.of(number, 0, number, 1), [TOKENS, 2]),
    );
    this.values.push(...made);
    return await Promise.resolve(made);
  }

  [Symbol.dispose](): void {
    for (const value of this.values) value[Symbol.dispose]();
  }
}

function imageOf(numbers: readonly number[], layout?: ImagePlan["layout"]): PromptImage {
  const plan = planImage({ width: 1, height: 1 }, { size: 1, shape: "pad", mean: [0, 0, 0] }, TOKENS);
  const [tile] = plan.tiles;
  const tiles = numbers.flatMap(() => tile ?? []);
  const runs = layout ?? numbers.map((_, i) => ({ kind: "tile", tile: i, first: 0, count: TOKENS }) as const);
  const numTokens = runs.reduce((sum, run) => sum + (run.kind === "tile" ? run.count : 1), 0);
  return {
    key: numbers.join(),
    plan: { ...plan, tiles, layout: runs, numTokens },
    pixels: Float32Array.from(numbers.flatMap((number) => [number, number, number])),
    start: 0,
    tokens: numTokens,
  };
}

function sequenceOf(images: readonly PromptImage[]): Sequence {
  const tokens = {
    tokenBytes: () => new Uint8Array(),
    specialIds: new Set<number>(),
    stripsLeadingSpace: false,
  };
  return new Sequence({
    prompt: { ids: [0], images },
    sampling: { temperature: 0, topP: 1, topK: 0, seed: 0 },
    maxTokens: 1,
    endTokens: new Set(),
    detokenizer: new Detokenizer(tokens, []),
    arrivedAt: 0,
    signal: new AbortController().signal,
  });
}

async function encode(queue: VisionQueue, ...images: readonly PromptImage[]): Promise<Sequence> {
  const sequence = sequenceOf(images);
  queue.begin([[sequence, images]], () => undefined);
  await queue.run;
  return sequence;
}

function featuresOf(cache: FeatureCache, { key }: PromptImage): readonly number[] {
  using lease = cache.lease(key);
  return Array.from(lease?.features.data() ?? [], Number);
}

it("vision queue: tiles of several images share a run, up to four", async () => {
  using encoder = new TileEncoder();
  using cache = new FeatureCache(1000);
  const queue = new VisionQueue(encoder, cache);
  const images = [imageOf([1]), imageOf([2, 3]), imageOf([4, 5]), imageOf([6])];
  await encode(queue, ...images);
  // The third image has no room beside the first two, but the fourth has.
  expect(encoder.runs).toEqual([[1, 2, 3, 6]]);
  expect(images.map(({ key }) => cache.has(key))).toEqual([true, true, false, true]);
  expect(cache.bytes).toBe(4 * encoder.bytes);
});

it("vision queue: an image of more tiles than a run takes is encoded in several, and its features are arranged by its plan", async () => {
  using encoder = new TileEncoder();
  using cache = new FeatureCache(1000);
  const layout = [0, 5, 4, 3, 2, 1].map((tile) => ({ kind: "tile", tile, first: 1, count: 1 }) as const);
  const image = imageOf([10, 11, 12, 13, 14, 15], layout);
  await encode(new VisionQueue(encoder, cache), image, imageOf([1]));
  expect(encoder.runs).toEqual([
    [10, 11, 12, 13],
    [14, 15],
  ]);
  expect(featuresOf(cache, image)).toEqual([10, 1, 15, 1, 14, 1, 13, 1, 12, 1, 11, 1]);
  expect(cache.bytes).toBe(3 * encoder.bytes);
});

it("vision queue: a run that fails ends the sequence, and leaves nothing of the runs before", async () => {
  using encoder = new TileEncoder();
  using cache = new FeatureCache(1000);
  encoder.failsAtRun = 2;
  const sequence = await encode(new VisionQueue(encoder, cache), imageOf([1, 2, 3, 4, 5]));
  expect(sequence.isDone).toBe(true);
  expect(cache.bytes).toBe(0);
  expect(encoder.values).toHaveLength(4);
  for (const value of encoder.values) expect(() => value.data()).toThrow("disposed");
});
