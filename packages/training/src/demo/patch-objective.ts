// What every patch shows, as a loss on the tower's features: the labels, the throw-away heads and their batches.
import type { TrainingOperations } from "@llava/architecture";
import { add, crossEntropy, type Graph, reshape, split, type Tensor } from "@llava/onnx";
import type { Batch } from "../trainer.ts";
import { labelWeights, PATCH_HEADS, patchLabels, PATCHES, type PatchLabels } from "./labels.ts";
import { writePixels } from "./pixels.ts";
import { rasterize, render } from "./render.ts";
import { SCENE_SIZE, type Scene } from "./scene.ts";

const PIXELS_PER_PICTURE = 3 * SCENE_SIZE * SCENE_SIZE;
const CLASSES = PATCH_HEADS.map((head) => head.classes);
const ALL_CLASSES = CLASSES.reduce((a, b) => a + b, 0);

/** features [pictures, patches, hidden] → one [pictures, patches, classes] a head. */
export function patchLogits(graph: Graph, ops: TrainingOperations, features: Tensor): Tensor[] {
  const normed = ops.layerNorm(features, "tower_heads.norm", 1e-5);
  return split(graph, ops.linear(normed, "tower_heads.output", ALL_CLASSES, { bias: true }), CLASSES, -1);
}

/** The sum of the heads' losses; adds the inputs patch_weights and patch_labels.* to the graph. */
export function patchLoss(graph: Graph, ops: TrainingOperations, features: Tensor, pictures: number): Tensor {
  const weights = graph.input("patch_weights", "float32", [pictures * PATCHES]);
  const losses = patchLogits(graph, ops, features).map((logits, i) => {
    const { name, classes } = PATCH_HEADS[i] ?? { name: "", classes: 0 };
    const labels = graph.input(`patch_labels.${name}`, "int64", [pictures * PATCHES]);
    return crossEntropy(graph, reshape(graph, logits, [pictures * PATCHES, classes]), labels, weights);
  });
  return losses.reduce((a, b) => add(graph, a, b));
}

/** Draws scenes into a batch's pixels [pictures, 3, size, size] and, where the batch asks for them, its patch labels. */
export function writePictures(scenes: readonly Scene[], batch: Batch): PatchLabels[] {
  const pixels = floats(batch, "pixels");
  const weights = batch["patch_weights"];
  const all = scenes.map((scene, i) => {
    const coverages = rasterize(scene);
    writePixels(render(scene, SCENE_SIZE, coverages), pixels, i * PIXELS_PER_PICTURE);
    return patchLabels(scene, coverages);
  });
  if (weights instanceof Float32Array) writeLabels(all, weights, batch);
  return all;
}

function writeLabels(all: readonly PatchLabels[], weights: Float32Array, batch: Batch): void {
  all.forEach((labels, i) => {
    weights.set(labelWeights(labels), i * PATCHES);
    for (const { name } of PATCH_HEADS) {
      const target = batch[`patch_labels.${name}`];
      if (target instanceof BigInt64Array)
        labels[name].forEach((label, patch) => (target[i * PATCHES + patch] = BigInt(label)));
    }
  });
  const total = weights.reduce((a, b) => a + b, 0);
  for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] ?? 0) / total;
}

function floats(batch: Batch, name: string): Float32Array {
  const array = batch[name];
  if (array instanceof Float32Array) return array;
  throw new Error(`The batch has no float32 input ${name}.`);
}
