/** AdamW inside the training graph: gradients in, new parameters and moments out. */
import {
  add,
  div,
  type Graph,
  gradients,
  min,
  mul,
  scale,
  sqrt,
  sub,
  sumOfSquares,
  type Tensor,
} from "@llava/onnx";

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled decay, on parameters with two or more axes: biases and norms have one. */
  readonly weightDecay: number;
  /** Largest global norm of the gradient. */
  readonly clipNorm: number;
}

/** Names of the graph's inputs and outputs that belong to the optimizer. */
export const OPTIMIZER_IO = {
  learningRate: "learning_rate",
  /** 1 / (1 − beta1^t) and 1 / √(1 − beta2^t), fed at every step. */
  meanCorrection: "mean_correction",
  varianceCorrection: "variance_correction",
  gradientNorm: "gradient_norm",
  mean: (parameter: string) => `mean:${parameter}`,
  variance: (parameter: string) => `variance:${parameter}`,
  next: (input: string) => `next:${input}`,
} as const;

/**
 * Appends the backward pass and one AdamW update of each parameter:
 *   ĝ = g · min(1, clipNorm / (‖g‖ + 1e-6)), m' = β₁m + (1−β₁)ĝ, v' = β₂v + (1−β₂)ĝ²,
 *   p' = p − lr · (m'·c₁ / (√v'·c₂ + ε) + decay·p).
 * For every parameter p the graph gets inputs mean:p and variance:p and outputs next:p, next:mean:p and
 * next:variance:p, which may be the very same memory: the global norm needs every gradient, so no parameter is
 * overwritten while the backward pass still reads it.
 */
export function appendAdamW(
  g: Graph,
  loss: Tensor,
  parameters: readonly Tensor[],
  options: AdamWOptions,
): void {
  const { beta1, beta2, epsilon, weightDecay, clipNorm } = options;
  const gradientOf = gradients(g, loss, parameters);
  const squares = gradientOf.map((gradient) => sumOfSquares(g, gradient));
  const norm = sqrt(
    g,
    squares.reduce((sum, square) => add(g, sum, square)),
  );
  const clip = min(g, div(g, g.scalar(clipNorm), add(g, norm, g.scalar(1e-6))), g.scalar(1));
  const learningRate = g.input(OPTIMIZER_IO.learningRate, "float32", []);
  const meanCorrection = g.input(OPTIMIZER_IO.meanCorrection, "float32", []);
  const varianceCorrection = g.input(OPTIMIZER_IO.varianceCorrection, "float32", []);
  g.output(OPTIMIZER_IO.gradientNorm, norm);
  parameters.forEach((parameter, i) => {
    const raw = gradientOf[i];
    if (!raw) return;
    const gradient = mul(g, raw, clip);
    const mean = g.input(OPTIMIZER_IO.mean(parameter.name), "float32", parameter.shape);
    const variance = g.input(OPTIMIZER_IO.variance(parameter.name), "float32", parameter.shape);
    const nextMean = add(g, scale(g, mean, beta1), scale(g, gradient, 1 - beta1));
    const nextVariance = add(g, scale(g, variance, beta2), scale(g, mul(g, gradient, gradient), 1 - beta2));
    const denominator = add(g, mul(g, sqrt(g, nextVariance), varianceCorrection), g.scalar(epsilon));
    const adapted = div(g, mul(g, nextMean, meanCorrection), denominator);
    const decays = weightDecay > 0 && parameter.shape.length >= 2;
    const direction = decays ? add(g, adapted, scale(g, parameter, weightDecay)) : adapted;
    g.output(OPTIMIZER_IO.next(parameter.name), sub(g, parameter, mul(g, direction, learningRate)));
    g.output(OPTIMIZER_IO.next(mean.name), nextMean);
    g.output(OPTIMIZER_IO.next(variance.name), nextVariance);
  });
}
