/** Counts the arithmetic that a graph asks for. */
import type { Graph } from "./graph.ts";
import { elementCount, staticShape } from "../tensor/tensor.ts";

/** Floating-point operations of all matrix products (a multiply and an add each), the bulk of any transformer. */
export function matrixFlops(graph: Graph): number {
  let total = 0;
  for (const { op, inputs, outputs, attributes } of graph.nodes) {
    const [a] = inputs;
    const [y] = outputs;
    if ((op !== "MatMul" && op !== "FusedMatMul") || !a || !y) continue;
    const transposed = attributes["transA"];
    const isTransposed = transposed !== undefined && "int" in transposed && transposed.int === 1;
    const inner = staticShape(a).at(isTransposed ? -2 : -1) ?? 1;
    total += 2 * elementCount(staticShape(y)) * inner;
  }
  return total;
}
