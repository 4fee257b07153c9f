/** Layer normalizations, with the statistics that ONNX Runtime's kernels hand out for the gradient. */
import { mul, sub } from "./elementwise.ts";
import type { Graph } from "../graph.ts";
import { meanLast, sumTo } from "./reduction.ts";
import type { Tensor } from "../tensor.ts";

/**
 * LayerNorm over the last axis: (x − mean)·invStd·weight + bias.
 * With x̂ the normalized input and ĝ = dy·weight: dx = invStd·(ĝ − mean(ĝ) − x̂·mean(ĝ·x̂)).
 */
export function layerNorm(g: Graph, x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): Tensor {
  const statistic = { dtype: x.dtype, shape: x.shape.with(-1, 1) };
  const [y, mean, invStd] = g.node("LayerNormalization", [x, weight, bias], [x, statistic, statistic], {
    attributes: { axis: { int: -1 }, epsilon: { float: epsilon } },
  });
  if (!y || !mean || !invStd) throw new Error("LayerNormalization has three outputs.");
  g.record([x, weight, bias], [y], ([dy], needs) => {
    if (!dy) return [];
    const normalized = mul(g, sub(g, x, mean), invStd);
    const inner = (): Tensor => {
      const scaled = mul(g, dy, weight);
      const projected = mul(g, normalized, meanLast(g, mul(g, scaled, normalized)));
      return mul(g, invStd, sub(g, sub(g, scaled, meanLast(g, scaled)), projected));
    };
    return [
      needs(x) ? inner() : undefined,
      needs(weight) ? sumTo(g, mul(g, dy, normalized), weight) : undefined,
      needs(bias) ? sumTo(g, dy, bias) : undefined,
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
    [x, { dtype: x.dtype, shape: x.shape.with(-1, 1) }],
    {
      attributes: { axis: { int: -1 }, epsilon: { float: epsilon }, stash_type: { int: 1 } },
    },
  );
  if (!y || !invRms) throw new Error("SimplifiedLayerNormalization has two outputs.");
  g.record([x, weight], [y], ([dy], needs) => {
    if (!dy) return [];
    const normalized = mul(g, x, invRms);
    const inner = (): Tensor => {
      const scaled = mul(g, dy, weight);
      return mul(g, invRms, sub(g, scaled, mul(g, normalized, meanLast(g, mul(g, scaled, normalized)))));
    };
    return [
      needs(x) ? inner() : undefined,
      needs(weight) ? sumTo(g, mul(g, dy, normalized), weight) : undefined,
    ];
  });
  return y;
}
