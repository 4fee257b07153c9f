/** Appends the training loss and its gradient. */
import { cast } from "./cast.ts";
import { exp, mul, neg } from "./elementwise.ts";
import type { Graph } from "../graph/graph.ts";
import { reshape } from "./layout.ts";
import { sumAll } from "./reduction.ts";
import { requireDType, requireRank, sizeAt, type Tensor } from "../tensor/tensor.ts";

/**
 * −Σᵢ weightᵢ · log softmax(logitsᵢ)[labelᵢ], a scalar.
 * logits [rows, classes] of any float type, labels [rows] int64 in range, weights [rows] float32 (0 leaves a row out; 1/n
 * makes the sum a mean). The loss is float32, and so is all that it is computed in: in half precision the logarithm of a
 * sum over a vocabulary loses the differences that are learned from. The gradient is weightᵢ·(softmaxᵢ − onehotᵢ),
 * written without a one-hot matrix.
 */
export function crossEntropy(g: Graph, logits: Tensor, labels: Tensor, weights: Tensor): Tensor {
  requireRank(logits, 2);
  requireDType(logits, "float32", "float16", "bfloat16");
  const wide = cast(g, logits, "float32");
  requireDType(labels, "int64");
  const rows = sizeAt(logits, 0);
  const logProbabilities = g.apply("LogSoftmax", [wide], wide, { attributes: { axis: { int: -1 } } });
  const labelColumn = reshape(g, labels, [rows, 1]);
  const picked = g.apply(
    "GatherElements",
    [logProbabilities, labelColumn],
    { dtype: "float32", shape: [rows, 1] },
    { attributes: { axis: { int: 1 } } },
  );
  const weightColumn = reshape(g, weights, [rows, 1]);
  const loss = neg(g, sumAll(g, mul(g, picked, weightColumn)));
  g.record([wide], [loss], ([dy]) => {
    if (!dy) return [];
    const weighted = mul(g, exp(g, logProbabilities), weightColumn);
    const rowColumn = g.constant(
      "int64",
      [rows, 1],
      BigInt64Array.from({ length: rows }, (_, row) => BigInt(row)),
    );
    const places = g.apply(
      "Concat",
      [rowColumn, labelColumn],
      { dtype: "int64", shape: [rows, 2] },
      { attributes: { axis: { int: 1 } } },
    );
    const difference = g.apply("ScatterND", [weighted, places, neg(g, weights)], weighted, {
      attributes: { reduction: { string: "add" } },
    });
    return [mul(g, difference, dy)];
  });
  return loss;
}
