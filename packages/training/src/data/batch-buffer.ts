/** A batch buffer holds the arrays of one batch and the runtime's values over them: a step reads what is written there. */
import { elementCount, staticShape, type Tensor } from "@llava/onnx";
import { Value } from "@llava/runtime";

export type BatchArray = Float32Array | BigInt64Array;
/** One array for each data input of a phase's graph, by the input's name. */
export type Batch = Readonly<Record<string, BatchArray>>;
/** One value for each data input of a graph, by the input's name. */
export type Feeds = Readonly<Record<string, Value>>;

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
