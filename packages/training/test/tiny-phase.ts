/** Builds a phase that trains in milliseconds: a small network classifies points, and a part of it may be frozen. */
import { add, cast, crossEntropy, gelu, Graph, layerNorm, matMul, type Tensor } from "@llava/onnx";
import type { BatchArray } from "../src/data/batch-buffer.ts";
import { type Batches, batches, type BatchesOptions } from "../src/data/dataset.ts";
import type { Phase } from "../src/loop/phase.ts";

const ROWS = 8;
const WIDTH = 6;
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

/** A point [6] near one of three corners, and the number of its corner. */
interface Point {
  readonly position: readonly number[];
  readonly corner: number;
}

/** As many points as 1000 steps take, so that every step sees new ones. */
export const tinyBatches: Batches = tinyData();

/** The batches of the tiny phase, with another dataset, collator or order in place of its own. */
export function tinyData(change: Partial<BatchesOptions<Point>> = {}): Batches {
  return batches({
    dataset: {
      length: 1000 * ROWS,
      get: (index) => {
        const [step, row] = [Math.floor(index / ROWS), index % ROWS];
        const position = Array.from(
          { length: WIDTH },
          (_, i) => noise(step, row * WIDTH + i) + (i === row % 3 ? 1 : 0),
        );
        return { position, corner: row % 3 };
      },
    },
    collate: (points, batch) => {
      write(batch["points"], (i) => points[Math.floor(i / WIDTH)]?.position[i % WIDTH] ?? 0);
      write(batch["labels"], (i) => points[i]?.corner ?? 0);
      write(batch["weights"], () => 1 / ROWS);
    },
    samplesPerStep: ROWS,
    ...change,
  });
}

export function tinyPhase(name: string, steps: number, change: Partial<Phase> = {}): Phase {
  return {
    name,
    title: name,
    steps,
    schedule: { peak: 0.02, warmup: 0.2, floor: 0.1, steps },
    optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, clipNorm: 0.5 },
    batches: tinyBatches,
    build({ computeType }) {
      const graph = new Graph(name);
      const parameters = new Map(
        Object.entries(SHAPES).map(([key, shape]) => [key, graph.input(key, "float32", shape)]),
      );
      const at = (key: string): Tensor => parameters.get(key) ?? graph.scalar(0);
      const points = graph.input("points", "float32", [ROWS, WIDTH]);
      const wide = gelu(
        graph,
        add(graph, matMul(graph, points, at("first.weight"), { transposeB: true }), at("first.bias")),
      );
      const normed = layerNorm(graph, wide, at("norm.weight"), at("norm.bias"), 1e-5);
      // One product in the compute type is enough to have gradients in it.
      const [x, weight] = [normed, at("second.weight")].map((tensor) => cast(graph, tensor, computeType));
      if (!x || !weight) throw new Error("Two tensors were cast.");
      const logits = cast(graph, matMul(graph, x, weight, { transposeB: true }), "float32");
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
    ...change,
  };
}

function write(array: BatchArray | undefined, value: (index: number) => number): void {
  if (array instanceof Float32Array) array.forEach((_, i) => (array[i] = value(i)));
  else array?.forEach((_, i) => (array[i] = BigInt(value(i))));
}
