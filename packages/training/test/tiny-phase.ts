/** A phase that trains in milliseconds: a small network told apart three kinds of points, with a part that may be frozen. */
import { add, crossEntropy, gelu, Graph, layerNorm, matMul, type Tensor } from "@llava/onnx";
import type { BatchArray, Phase } from "../src/trainer.ts";

const ROWS = 8;
const SHAPES: Readonly<Record<string, readonly number[]>> = {
  "first.weight": [12, 6],
  "first.bias": [12],
  "norm.weight": [12],
  "norm.bias": [12],
  "second.weight": [3, 12],
};

/** A number in [-1, 1) for (step, index). */
function noise(step: number, index: number): number {
  return (Math.sin(step * 37.7 + index * 12.9898 + 1) * 43758.5453) % 1;
}

export function tinyPhase(name: string, steps: number, change: Partial<Phase> = {}): Phase {
  return {
    name,
    title: name,
    steps,
    samplesPerStep: ROWS,
    schedule: { peak: 0.02, warmup: 0.2, floor: 0.1, steps },
    optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, clipNorm: 0.5 },
    build() {
      const graph = new Graph(name);
      const parameters = new Map(
        Object.entries(SHAPES).map(([key, shape]) => [key, graph.input(key, "float32", shape)]),
      );
      const at = (key: string): Tensor => parameters.get(key) ?? graph.scalar(0);
      const points = graph.input("points", "float32", [ROWS, 6]);
      const wide = gelu(
        graph,
        add(graph, matMul(graph, points, at("first.weight"), { transposeB: true }), at("first.bias")),
      );
      const normed = layerNorm(graph, wide, at("norm.weight"), at("norm.bias"), 1e-5);
      const logits = matMul(graph, normed, at("second.weight"), { transposeB: true });
      const labels = graph.input("labels", "int64", [ROWS]);
      return {
        graph,
        parameters,
        loss: crossEntropy(graph, logits, labels, graph.input("weights", "float32", [ROWS])),
      };
    },
    trains: () => true,
    initialize: (key, shape) =>
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) =>
        key === "norm.weight" ? 1 : 0.4 * noise(key.length, i),
      ),
    fill(step, batch) {
      // Whatever an older batch left is written over.
      write(batch["points"], (i) => noise(step, i) + (i % 6 === Math.floor(i / 6) % 3 ? 1 : 0));
      write(batch["labels"], (i) => i % 3);
      write(batch["weights"], () => 1 / ROWS);
    },
    ...change,
  };
}

function write(array: BatchArray | undefined, value: (index: number) => number): void {
  if (array instanceof Float32Array) array.forEach((_, i) => (array[i] = value(i)));
  else array?.forEach((_, i) => (array[i] = BigInt(value(i))));
}
