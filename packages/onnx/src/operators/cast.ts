/** Changes element types, and makes constants of a given one. */
import type { Graph, NodeOptions } from "../graph/graph.ts";
import { DATA_TYPE, type DType, type Tensor } from "../tensor/tensor.ts";

/** Changes the element type; the gradient is cast back. */
export function cast(
  g: Graph,
  x: Tensor,
  dtype: DType,
  { emitFirst = false }: Pick<NodeOptions, "emitFirst"> = {},
): Tensor {
  if (x.dtype === dtype) return x;
  const attributes = { to: { int: DATA_TYPE[dtype] } };
  const y = g.apply("Cast", [x], { dtype, shape: x.shape }, { attributes, emitFirst });
  g.record([x], [y], ([dy]) => (dy ? [cast(g, dy, x.dtype)] : []));
  return y;
}

/** A scalar of the element type of `x`; ONNX Runtime folds the cast when it loads the graph. */
export function scalarLike(g: Graph, x: Tensor, value: number): Tensor {
  return cast(g, g.scalar(value), x.dtype);
}
