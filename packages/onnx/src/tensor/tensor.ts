/** Defines what every part of the graph refers to: element types, shapes, and symbolic tensors. */

/** Element types that our graphs use, with ONNX's TensorProto.DataType numbers (onnx.proto3). */
export const DATA_TYPE = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  bfloat16: 16,
} as const;

export type DType = keyof typeof DATA_TYPE;

/**
 * The element type of activations, of keys and values, and of image features. Weights that are stored in another type
 * are cast to it. Token ids are integers, pixels enter and logits leave every graph as float32, and the statistics of
 * norms and the sums inside kernels are float32 where the kernel has them so.
 */
export type ComputeType = "float32" | "float16" | "bfloat16";

/** A known extent, or a name for one that is known only when the graph runs. */
export type Dim = number | string;
export type Shape = readonly Dim[];

/** A value that will flow through the graph: a graph input, an initializer or the output of a node. */
export interface Tensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** What is wrong with the graph that is being built: a programming error, found before ONNX Runtime sees it. */
export class GraphError extends Error {
  override readonly name = "GraphError";
}

export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

export function describe(tensor: Tensor): string {
  return `${tensor.name}: ${tensor.dtype}${formatShape(tensor.shape)}`;
}

/** The extents as numbers; throws GraphError when one of them is symbolic. */
export function staticShape(tensor: Tensor): number[] {
  return tensor.shape.map((dim) => {
    if (typeof dim === "number") return dim;
    throw new GraphError(`${describe(tensor)} needs a static shape here, but ${dim} is symbolic.`);
  });
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** The extent at `axis`, which may count from the end. */
export function dimAt(tensor: Tensor, axis: number): Dim {
  const dim = tensor.shape.at(axis);
  if (dim === undefined) throw new GraphError(`${describe(tensor)} has no axis ${axis}.`);
  return dim;
}

/** Like dimAt, for an extent that has to be known now. */
export function sizeAt(tensor: Tensor, axis: number): number {
  const dim = dimAt(tensor, axis);
  if (typeof dim === "number") return dim;
  throw new GraphError(`${describe(tensor)} needs a static extent at axis ${axis}.`);
}

/** `axis` counted from the front, 0 … rank−1. */
export function positiveAxis(tensor: Tensor, axis: number): number {
  dimAt(tensor, axis);
  return axis < 0 ? axis + tensor.shape.length : axis;
}

/** NumPy's broadcasting rule over known and symbolic extents; equal names are equal extents. */
export function broadcast(a: Tensor, b: Tensor): Dim[] {
  const rank = Math.max(a.shape.length, b.shape.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a.shape[a.shape.length - rank + i] ?? 1;
    const y = b.shape[b.shape.length - rank + i] ?? 1;
    if (x === y || y === 1) return x;
    if (x === 1) return y;
    throw new GraphError(`${describe(a)} and ${describe(b)} do not broadcast: ${x} against ${y}.`);
  });
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

export function requireDType(tensor: Tensor, ...allowed: readonly DType[]): void {
  if (allowed.includes(tensor.dtype)) return;
  throw new GraphError(`${describe(tensor)} must be ${allowed.join(" or ")} here.`);
}

export function requireRank(tensor: Tensor, rank: number): void {
  if (tensor.shape.length === rank) return;
  throw new GraphError(`${describe(tensor)} must have ${rank} axes here.`);
}
