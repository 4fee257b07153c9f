/** The arrays of one batch and the runtime's values over them: what is written into the arrays is what a step reads. */
import { elementCount, staticShape, type Tensor } from "@llava/onnx";
import { Value } from "@llava/runtime";
import type { Feeds } from "./training-step.ts";

export type BatchArray = Float32Array | BigInt64Array;
/** One array for each data input of the phase's graph. */
export type Batch = Readonly<Record<string, BatchArray>>;

export class BatchBuffer implements Disposable {
  readonly arrays: Batch;
  readonly feeds: Feeds;

  constructor(inputs: readonly Tensor[]) {
    const entries = inputs.map((input) => {
      const shape = staticShape(input);
      const size = elementCount(shape);
      const array = input.dtype === "int64" ? new BigInt64Array(size) : new Float32Array(size);
      return { name: input.name, array, value: Value.wrap(input.dtype, array, shape) };
    });
    this.arrays = Object.fromEntries(entries.map(({ name, array }) => [name, array]));
    this.feeds = Object.fromEntries(entries.map(({ name, value }) => [name, value]));
  }

  [Symbol.dispose](): void {
    for (const value of Object.values(this.feeds)) value[Symbol.dispose]();
  }
}
