/** Differentiates in reverse mode: walks the tape backwards and appends the backward pass to the same graph. */
import { add } from "./elementwise.ts";
import type { Graph } from "../graph/graph.ts";
import { describe, GraphError, type Tensor } from "../tensor/tensor.ts";

/**
 * d loss / d x for each x of `wrt`, in order. Only what lies between `wrt` and the loss is differentiated, so frozen
 * parameters cost nothing. Throws GraphError when the loss does not depend on one of them through differentiable steps.
 */
export function gradients(g: Graph, loss: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (loss.shape.length !== 0) throw new GraphError(`The loss must be a scalar, got ${describe(loss)}.`);
  const tape = [...g.tape];
  const onPath = dependents(tape, wrt);
  const gradientOf = new Map<Tensor, Tensor>([[loss, g.scalar(1)]]);
  const needs = (tensor: Tensor): boolean => onPath.has(tensor);
  for (const entry of tape.toReversed()) {
    const upstream = entry.outputs.map((output) => gradientOf.get(output));
    if (upstream.every((value) => value === undefined) || !entry.inputs.some(needs)) continue;
    const pulled = entry.pullback(upstream, needs);
    entry.inputs.forEach((input, i) => {
      const contribution = pulled[i];
      if (!contribution || !needs(input)) return;
      const sum = gradientOf.get(input);
      gradientOf.set(input, sum ? add(g, sum, contribution) : contribution);
    });
  }
  return wrt.map((tensor) => {
    const gradient = gradientOf.get(tensor);
    if (!gradient) throw new GraphError(`The loss does not depend on ${describe(tensor)}.`);
    return gradient;
  });
}

/** Every tensor that depends on one of `roots`, roots included. */
function dependents(
  tape: readonly { inputs: readonly Tensor[]; outputs: readonly Tensor[] }[],
  roots: readonly Tensor[],
): Set<Tensor> {
  const reached = new Set(roots);
  for (const { inputs, outputs } of tape) {
    if (inputs.some((input) => reached.has(input))) for (const output of outputs) reached.add(output);
  }
  return reached;
}
