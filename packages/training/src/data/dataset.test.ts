import { expect, test } from "vitest";
import type { Batch } from "./batch-buffer.ts";
import { batches, type Dataset } from "./dataset.ts";
import { inOrder, shuffled } from "./sample-order.ts";

/** Samples that are their own index and epoch, half of them given later. */
const numbers: Dataset<readonly number[]> = {
  length: 5,
  get: (index, epoch) => (index % 2 === 0 ? [index, epoch] : Promise.resolve([index, epoch])),
};
const collate = (samples: readonly (readonly number[])[], batch: Batch): void => {
  const array = batch["x"];
  if (array instanceof Float32Array) array.set(samples.flat());
};

async function filled(step: number, order = inOrder(numbers.length)): Promise<number[]> {
  const array = new Float32Array(6);
  await batches({ dataset: numbers, collate, samplesPerStep: 3, order }).fill(step, { x: array });
  return [...array];
}

test("a step's batch has the samples at its positions, over the end of an epoch", async () => {
  expect(await filled(0)).toEqual([0, 0, 1, 0, 2, 0]);
  expect(await filled(1)).toEqual([3, 0, 4, 0, 0, 1]);
  expect(await filled(3)).toEqual([4, 1, 0, 2, 1, 2]);
});

test("a shuffled batch is a function of the seed and the step", async () => {
  expect(await filled(7, shuffled(5, 1))).toEqual(await filled(7, shuffled(5, 1)));
  const steps = [0, 1, 2, 3, 4];
  const all = await Promise.all(steps.map(async (step) => await filled(step, shuffled(5, 1))));
  const other = await Promise.all(steps.map(async (step) => await filled(step, shuffled(5, 2))));
  expect(all).not.toEqual(other);
});

test("a dataset that fails rejects the batch", async () => {
  const broken = { length: 1, get: () => Promise.reject(new Error("the file is gone")) };
  const failing = batches({ dataset: broken, collate, samplesPerStep: 1 });
  await expect(failing.fill(0, {})).rejects.toThrow("the file is gone");
});
