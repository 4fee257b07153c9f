/** Compares the optimizer inside the graph with the same formulas in plain double-precision loops. */
import { add, Graph, matMul, mul, scale, sumAll } from "@llava/onnx";
import { Value } from "@llava/runtime";
import { expect, it } from "vitest";
import type { AdamWOptions } from "../src/optimizer/adamw.ts";
import { type ParameterOptions, TrainingState } from "../src/state/training-state.ts";
import { TrainingStep } from "../src/loop/training-step.ts";

const [ROWS, INPUTS, OUTPUTS] = [4, 3, 2];

function problem(): {
  graph: Graph;
  loss: ReturnType<typeof sumAll>;
  parameters: ReturnType<Graph["input"]>[];
} {
  const graph = new Graph("least squares");
  const x = graph.input("x", "float32", [ROWS, INPUTS]);
  const target = graph.input("target", "float32", [ROWS, OUTPUTS]);
  const weight = graph.input("weight", "float32", [OUTPUTS, INPUTS]);
  const bias = graph.input("bias", "float32", [OUTPUTS]);
  const error = add(
    graph,
    add(graph, matMul(graph, x, weight, { transposeB: true }), bias),
    scale(graph, target, -1),
  );
  return {
    graph,
    loss: scale(graph, sumAll(graph, mul(graph, error, error)), 0.5),
    parameters: [weight, bias],
  };
}

const START = { weight: [0.5, -0.3, 0.8, -0.1, 0.9, -0.7], bias: [0.2, -0.4] };
const batchAt = (step: number): { x: number[]; target: number[] } => ({
  x: Array.from({ length: ROWS * INPUTS }, (_, i) => Math.sin(3 * step + i)),
  target: Array.from({ length: ROWS * OUTPUTS }, (_, i) => Math.cos(2 * step + i)),
});

/** ½ Σ (x·Wᵀ + b − t)²: gradients and loss. */
function slowGradients(
  { weight, bias }: Record<"weight" | "bias", number[]>,
  { x, target }: ReturnType<typeof batchAt>,
) {
  const gradient = { weight: weight.map(() => 0), bias: bias.map(() => 0) };
  let loss = 0;
  for (let row = 0; row < ROWS; row++) {
    for (let out = 0; out < OUTPUTS; out++) {
      let error = (bias[out] ?? 0) - (target[row * OUTPUTS + out] ?? 0);
      for (let i = 0; i < INPUTS; i++) error += (x[row * INPUTS + i] ?? 0) * (weight[out * INPUTS + i] ?? 0);
      loss += 0.5 * error * error;
      gradient.bias[out] = (gradient.bias[out] ?? 0) + error;
      for (let i = 0; i < INPUTS; i++) {
        const at = out * INPUTS + i;
        gradient.weight[at] = (gradient.weight[at] ?? 0) + error * (x[row * INPUTS + i] ?? 0);
      }
    }
  }
  return { gradient, loss };
}

interface Moments {
  readonly mean: number[];
  readonly variance: number[];
}

function slowUpdate(
  values: number[],
  gradient: readonly number[],
  { mean, variance }: Moments,
  { beta1, beta2, epsilon }: AdamWOptions,
  at: { readonly rate: number; readonly count: number; readonly decay: number },
): void {
  for (const [i, g] of gradient.entries()) {
    mean[i] = beta1 * (mean[i] ?? 0) + (1 - beta1) * g;
    variance[i] = beta2 * (variance[i] ?? 0) + (1 - beta2) * g * g;
    const m = mean[i] / (1 - beta1 ** at.count);
    const v = variance[i] / (1 - beta2 ** at.count);
    const old = values[i] ?? 0;
    values[i] = old - at.rate * (m / (Math.sqrt(v) + epsilon) + at.decay * old);
  }
}

function expectClose(actual: ArrayLike<number> | undefined, expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) {
    expect(Math.abs((actual?.[i] ?? Number.NaN) - value)).toBeLessThanOrEqual(2e-6 * (1 + Math.abs(value)));
  }
}

it.each<[string, Partial<AdamWOptions>]>([
  ["with clipping at some steps", { clipNorm: 2.5 }],
  ["with clipping at every step and no decay", { clipNorm: 1e-3, weightDecay: 0 }],
  ["without clipping", { clipNorm: 1e9, beta1: 0.5, beta2: 0.999 }],
  ["with a scaled loss and clipping", { clipNorm: 2.5, lossScale: 1024 }],
])("AdamW %s, over eight steps, in the state's own arrays", async (_, change) => {
  const options: AdamWOptions = {
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    weightDecay: 0.1,
    clipNorm: 1,
    ...change,
  };
  const state = new TrainingState();
  const made = (values: readonly number[]): ParameterOptions => ({
    isTrained: true,
    initialize: () => Float32Array.from(values),
  });
  const weight = await state.parameter("weight", [OUTPUTS, INPUTS], made(START.weight));
  const bias = await state.parameter("bias", [OUTPUTS], made(START.bias));
  const { graph, loss, parameters } = problem();
  const objective = { graph, loss, parameters: new Map(parameters.map((tensor) => [tensor.name, tensor])) };
  using step = await TrainingStep.compile(objective, parameters, state, { optimizer: options, threads: 1 });
  expect(step.flops).toBeGreaterThan(0);

  const slow = { weight: [...START.weight], bias: [...START.bias] };
  const moments = { weight: { mean: [], variance: [] }, bias: { mean: [], variance: [] } };
  const clipped: boolean[] = [];
  for (let count = 1; count <= 8; count++) {
    const batch = batchAt(count);
    using x = Value.wrap("float32", Float32Array.from(batch.x), [ROWS, INPUTS]);
    using target = Value.wrap("float32", Float32Array.from(batch.target), [ROWS, OUTPUTS]);
    const rate = 0.05 / count;
    const result = await step.run({ x, target }, rate, count);

    const { gradient, loss: slowLoss } = slowGradients(slow, batch);
    const norm = Math.sqrt([...gradient.weight, ...gradient.bias].reduce((sum, g) => sum + g * g, 0));
    const clip = Math.min(1, options.clipNorm / (norm + 1e-6));
    clipped.push(clip < 1);
    const cut = (values: readonly number[]): number[] => values.map((g) => g * clip);
    slowUpdate(slow.weight, cut(gradient.weight), moments.weight, options, {
      rate,
      count,
      decay: options.weightDecay,
    });
    slowUpdate(slow.bias, cut(gradient.bias), moments.bias, options, { rate, count, decay: 0 });

    expectClose([result.loss, result.gradientNorm], [slowLoss, norm]);
    expectClose(weight.data(), slow.weight);
    expectClose(bias.data(), slow.bias);
    for (const [name, { mean, variance }] of Object.entries(moments)) {
      expectClose(state.moments.get(`mean:${name}`)?.data(), mean);
      expectClose(state.moments.get(`variance:${name}`)?.data(), variance);
    }
  }
  if (options.clipNorm === 2.5) expect(new Set(clipped)).toEqual(new Set([true, false]));
});
