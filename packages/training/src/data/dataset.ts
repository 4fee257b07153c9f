/** Turns a dataset of samples into the batches of a phase, each a function of its step's number. */
import type { Batch } from "./batch-buffer.ts";
import { inOrder, type SampleOrder } from "./sample-order.ts";

/** Samples by number. Nothing but the arguments of `get` decides what a sample is, so that resuming equals not stopping. */
export interface Dataset<Sample> {
  readonly length: number;
  /** The sample with the number `index`, from 0 to `length` − 1, as pass `epoch` over the dataset sees it. */
  get(index: number, epoch: number): Sample | Promise<Sample>;
}

/** Writes samples into the arrays of a batch, which hold an older batch: every element must be written. */
export type Collator<Sample> = (samples: readonly Sample[], batch: Batch) => void;

/** The batches of a phase. */
export interface Batches {
  readonly samplesPerStep: number;
  /** Writes the batch of step `step` (counted from 0) into arrays that hold an older batch. */
  fill(step: number, batch: Batch): Promise<void>;
}

export interface BatchesOptions<Sample> {
  readonly dataset: Dataset<Sample>;
  readonly collate: Collator<Sample>;
  readonly samplesPerStep: number;
  /** Order of the samples; that of their numbers when left out. */
  readonly order?: SampleOrder;
}

/** Step s takes the samples at the positions s·samplesPerStep to (s + 1)·samplesPerStep − 1 of the order. */
export function batches<Sample>(options: BatchesOptions<Sample>): Batches {
  const { dataset, collate, samplesPerStep, order = inOrder(dataset.length) } = options;
  return {
    samplesPerStep,
    fill: async (step, batch) => {
      const numbers = Array.from({ length: samplesPerStep }, (_, i) => order(step * samplesPerStep + i));
      const samples = await Promise.all(
        numbers.map(async ({ index, epoch }) => await dataset.get(index, epoch)),
      );
      collate(samples, batch);
    },
  };
}
