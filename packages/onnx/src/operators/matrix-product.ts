/** Appends matrix products and their gradients. */
import type { Graph } from "../graph/graph.ts";
import { reshape } from "./layout.ts";
import { sumTo } from "./reduction.ts";
import {
  broadcast,
  describe,
  dimAt,
  elementCount,
  GraphError,
  staticShape,
  type Shape,
  type Tensor,
} from "../tensor/tensor.ts";

export interface MatMulOptions {
  /** Swap the last two axes of a before multiplying. */
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** Factor on the product. */
  readonly alpha?: number;
}

/**
 * alpha · op(a) · op(b) over the last two axes, with broadcasting of the leading ones.
 * a [..., M, K], b [..., K, N] → [..., M, N].
 */
export function matMul(g: Graph, a: Tensor, b: Tensor, options: MatMulOptions = {}): Tensor {
  const all = { transposeA: false, transposeB: false, alpha: 1, ...options };
  const { transposeA, transposeB, alpha } = all;
  const [m, k] = transposeA ? [dimAt(a, -1), dimAt(a, -2)] : [dimAt(a, -2), dimAt(a, -1)];
  const [k2, n] = transposeB ? [dimAt(b, -1), dimAt(b, -2)] : [dimAt(b, -2), dimAt(b, -1)];
  if (k !== k2 || a.dtype !== b.dtype)
    throw new GraphError(`matMul: ${describe(a)} and ${describe(b)} do not fit.`);
  const shape = [...leading(a, b), m, n];
  const isPlain = !transposeA && !transposeB && alpha === 1;
  const y = isPlain
    ? g.apply("MatMul", [a, b], { dtype: a.dtype, shape })
    : g.apply(
        "FusedMatMul",
        [a, b],
        { dtype: a.dtype, shape },
        {
          domain: "com.microsoft",
          attributes: {
            transA: { int: Number(transposeA) },
            transB: { int: Number(transposeB) },
            alpha: { float: alpha },
          },
        },
      );
  g.record([a, b], [y], ([dy], needs) =>
    dy
      ? [
          needs(a) ? gradientOfA(g, a, b, dy, all) : undefined,
          needs(b) ? gradientOfB(g, a, b, dy, all) : undefined,
        ]
      : [],
  );
  return y;
}

function leading(a: Tensor, b: Tensor): Shape {
  return broadcast({ ...a, shape: a.shape.slice(0, -2) }, { ...b, shape: b.shape.slice(0, -2) });
}

/** d/da: dy·bᵀ, transposed where a was. */
function gradientOfA(
  g: Graph,
  a: Tensor,
  b: Tensor,
  dy: Tensor,
  { transposeA, transposeB, alpha }: Required<MatMulOptions>,
): Tensor {
  const full = transposeA
    ? matMul(g, b, dy, { transposeA: transposeB, transposeB: true, alpha })
    : matMul(g, dy, b, { transposeB: !transposeB, alpha });
  return sumTo(g, full, a);
}

/** d/db: aᵀ·dy. A shared matrix (a linear layer's weight) is one product over all leading axes flattened. */
function gradientOfB(
  g: Graph,
  a: Tensor,
  b: Tensor,
  dy: Tensor,
  { transposeA, transposeB, alpha }: Required<MatMulOptions>,
): Tensor {
  const isShared = b.shape.length === 2 && !transposeA && a.shape.length > 2;
  const left = isShared ? flattenRows(g, a) : a;
  const right = isShared ? flattenRows(g, dy) : dy;
  const full = transposeB
    ? matMul(g, right, left, { transposeA: true, transposeB: transposeA, alpha })
    : matMul(g, left, right, { transposeA: !transposeA, alpha });
  return sumTo(g, full, b);
}

function flattenRows(g: Graph, x: Tensor): Tensor {
  const shape = staticShape(x);
  const width = shape.at(-1) ?? 1;
  return reshape(g, x, [elementCount(shape) / width, width]);
}
