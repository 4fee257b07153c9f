/** Appends sums, the sum that undoes broadcasting among them, and their gradients. */
import type { Graph } from "../graph/graph.ts";
import { reshape, zeros } from "./layout.ts";
import { cast } from "./cast.ts";
import { elementCount, positiveAxis, sameShape, staticShape, type Tensor } from "../tensor/tensor.ts";

/** Sum over `axes`, which stay with extent 1. */
export function reduceSum(g: Graph, x: Tensor, axes: readonly number[]): Tensor {
  // ONNX's own ReduceSum takes no axes to mean all of them.
  if (axes.length === 0) return x;
  const positive = axes.map((axis) => positiveAxis(x, axis));
  const shape = x.shape.map((dim, axis) => (positive.includes(axis) ? 1 : dim));
  const y = g.apply(
    "ReduceSum",
    [x, g.ints(positive)],
    { dtype: x.dtype, shape },
    { attributes: { keepdims: { int: 1 } } },
  );
  g.record([x], [y], ([dy]) => {
    if (!dy) return [];
    return [g.apply("Add", [zeros(g, staticShape(x), x.dtype), dy], x)];
  });
  return y;
}

/** Sum of all elements, a scalar. */
export function sumAll(g: Graph, x: Tensor): Tensor {
  return reshape(
    g,
    reduceSum(
      g,
      x,
      x.shape.map((_, axis) => axis),
    ),
    [],
  );
}

/** Σ x², a scalar: a parameter's share of the gradient norm. No gradient. */
export function sumOfSquares(g: Graph, x: Tensor): Tensor {
  return g.apply(
    "ReduceSumSquare",
    [x],
    { dtype: x.dtype, shape: [] },
    { attributes: { keepdims: { int: 0 } } },
  );
}

/** Sums `x` down to the shape of `target`: the gradient of broadcasting `target` up to the shape of `x`. */
export function sumTo(g: Graph, x: Tensor, target: Tensor): Tensor {
  if (sameShape(x.shape, target.shape)) return x;
  const from = staticShape(x);
  const to = staticShape(target);
  const missing = from.length - to.length;
  const axes = from.flatMap((dim, axis) =>
    dim !== 1 && (axis < missing || to[axis - missing] === 1) ? [axis] : [],
  );
  const summed = sumLeading(g, x, from, axes, elementCount(to)) ?? reduceSum(g, x, axes);
  return sameShape(summed.shape, to) ? summed : reshape(g, summed, to);
}

/**
 * Summing all leading axes (the gradient of a bias) as a product with a row of ones: ONNX Runtime's matrix kernel is
 * twice as fast as its ReduceSum over leading axes on CPU.
 */
function sumLeading(
  g: Graph,
  x: Tensor,
  from: readonly number[],
  axes: readonly number[],
  kept: number,
): Tensor | undefined {
  const rows = elementCount(from) / kept;
  const isLeading =
    axes.length > 0 && axes.every((axis, i) => axis === i) && elementCount(from.slice(axes.length)) === kept;
  if (!isLeading || kept === 1) return undefined;
  const ones = cast(g, g.constant("float32", [1, rows], new Float32Array(rows).fill(1)), x.dtype);
  return g.apply("MatMul", [ones, reshape(g, x, [rows, kept])], { dtype: x.dtype, shape: [1, kept] });
}
