/** Appends the backward pass and AdamW to a training graph: its outputs are the new parameters and moments. */
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
  /** Decoupled weight decay of the parameters with two or more axes, which biases and norms do not have. */
  readonly weightDecay: number;
  /** Largest global norm of the gradient; a longer gradient is shortened to it. */
  readonly clipNorm: number;
  /**
   * Factor of the loss before the backward pass, taken out of the gradients again; 1 when left out. In float16 gradients
   * below 6e-8 become zero, which a factor prevents. A power of two changes no digit.
   */
  readonly lossScale?: number;
}

/** Names of the graph's inputs and outputs that belong to the optimizer. */
export const OPTIMIZER_IO = {
  learningRate: "learning_rate",
  /** 1 / (1 − beta1^t), fed at every step. */
  meanCorrection: "mean_correction",
  /** 1 / √(1 − beta2^t), fed at every step. */
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
 * next:variance:p, which may be bound to the same memory: the global norm needs every gradient, so no parameter is
 * overwritten while the backward pass still reads it.
 */
export function appendAdamW(
  g: Graph,
  loss: Tensor,
  parameters: readonly Tensor[],
  options: AdamWOptions,
): void {
  const { beta1, beta2, epsilon, weightDecay, clipNorm, lossScale = 1 } = options;
  const scaled = (x: Tensor, factor: number): Tensor => (factor === 1 ? x : scale(g, x, factor));
  const gradientOf = gradients(g, scaled(loss, lossScale), parameters);
  const squares = gradientOf.map((gradient) => sumOfSquares(g, gradient));
  const scaledNorm = sqrt(
    g,
    squares.reduce((sum, square) => add(g, sum, square)),
  );
  const norm = scaled(scaledNorm, 1 / lossScale);
  const clip = min(g, div(g, g.scalar(clipNorm), add(g, norm, g.scalar(1e-6))), g.scalar(1));
  const factor = scaled(clip, 1 / lossScale);
  const learningRate = g.input(OPTIMIZER_IO.learningRate, "float32", []);
  const meanCorrection = g.input(OPTIMIZER_IO.meanCorrection, "float32", []);
  const varianceCorrection = g.input(OPTIMIZER_IO.varianceCorrection, "float32", []);
  g.output(OPTIMIZER_IO.gradientNorm, norm);
  parameters.forEach((parameter, i) => {
    const raw = gradientOf[i];
    if (!raw) return;
    const gradient = mul(g, raw, factor);
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
