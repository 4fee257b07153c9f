/**
 * Appends layer normalizations; the gradients use the statistics that ONNX Runtime's kernels hand out. These are
 * float32 whatever the element type (stash_type 1), and so is the arithmetic of the gradients.
 */
import { cast } from "./cast.ts";
import { mul, scale, sub } from "./elementwise.ts";
import type { Graph } from "../graph/graph.ts";
import { reduceSum, sumTo } from "./reduction.ts";
import { staticShape, type Tensor } from "../tensor/tensor.ts";

/**
 * LayerNorm over the last axis: (x − mean)·invStd·weight + bias.
 * With x̂ the normalized input and ĝ = dy·weight: dx = invStd·(ĝ − mean(ĝ) − x̂·mean(ĝ·x̂)).
 */
export function layerNorm(g: Graph, x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): Tensor {
  const statistic = { dtype: "float32", shape: x.shape.with(-1, 1) } as const;
  const [y, mean, invStd] = g.node("LayerNormalization", [x, weight, bias], [x, statistic, statistic], {
    attributes: { axis: { int: -1 }, epsilon: { float: epsilon } },
  });
  if (!y || !mean || !invStd) throw new Error("LayerNormalization has three outputs.");
  g.record([x, weight, bias], [y], ([upstream], needs) => {
    if (!upstream) return [];
    const [dy, wide] = [cast(g, upstream, "float32"), cast(g, weight, "float32")];
    const normalized = mul(g, sub(g, cast(g, x, "float32"), mean), invStd);
    const inner = (): Tensor => {
      const scaled = mul(g, dy, wide);
      const projected = mul(g, normalized, meanLast(g, mul(g, scaled, normalized)));
      return mul(g, invStd, sub(g, sub(g, scaled, meanLast(g, scaled)), projected));
    };
    return [
      needs(x) ? cast(g, inner(), x.dtype) : undefined,
      needs(weight) ? cast(g, sumTo(g, mul(g, dy, normalized), weight), weight.dtype) : undefined,
      needs(bias) ? cast(g, sumTo(g, dy, bias), bias.dtype) : undefined,
    ];
  });
  return y;
}

/**
 * RMSNorm over the last axis: x·invRms·weight. ONNX Runtime's SimplifiedLayerNormalization, which lives in the default
 * operator set. With x̂ = x·invRms and ĝ = dy·weight: dx = invRms·(ĝ − x̂·mean(ĝ·x̂)).
 */
export function rmsNorm(g: Graph, x: Tensor, weight: Tensor, epsilon: number): Tensor {
  const [y, invRms] = g.node(
    "SimplifiedLayerNormalization",
    [x, weight],
    [x, { dtype: "float32", shape: x.shape.with(-1, 1) }],
    {
      attributes: { axis: { int: -1 }, epsilon: { float: epsilon }, stash_type: { int: 1 } },
    },
  );
  if (!y || !invRms) throw new Error("SimplifiedLayerNormalization has two outputs.");
  g.record([x, weight], [y], ([upstream], needs) => {
    if (!upstream) return [];
    const [dy, wide] = [cast(g, upstream, "float32"), cast(g, weight, "float32")];
    const normalized = mul(g, cast(g, x, "float32"), invRms);
    const inner = (): Tensor => {
      const scaled = mul(g, dy, wide);
      return mul(g, invRms, sub(g, scaled, mul(g, normalized, meanLast(g, mul(g, scaled, normalized)))));
    };
    return [
      needs(x) ? cast(g, inner(), x.dtype) : undefined,
      needs(weight) ? cast(g, sumTo(g, mul(g, dy, normalized), weight), weight.dtype) : undefined,
    ];
  });
  return y;
}

/** Mean over the last axis, which stays with extent 1. */
export function meanLast(g: Graph, x: Tensor): Tensor {
  const count = staticShape(x).at(-1) ?? 1;
  return scale(g, reduceSum(g, x, [-1]), 1 / count);
}
