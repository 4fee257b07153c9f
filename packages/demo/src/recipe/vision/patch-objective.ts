/** Builds the loss of what every patch shows, on the tower's features, with heads that are not exported, and its batches. */
import type { TrainingOperations } from "@llava/models";
import { add, cast, crossEntropy, type Graph, reshape, split, type Tensor } from "@llava/onnx";
import type { Batch } from "@llava/training";
import { labelWeights, PATCH_HEADS, patchLabels, PATCHES, type PatchLabels } from "./patch-labels.ts";
import { writePixels } from "./scene-pixels.ts";
import { COLORS, isHeldOut, rasterize, render, type Scene, SCENE_SIZE, SHAPES } from "../../scenes/index.ts";

/** Added to the logit of a word or class that must not be learned against; e^−1e4 is 0 in float32. */
export const MASKED_LOGIT = -1e4;

const PIXELS_PER_IMAGE = 3 * SCENE_SIZE * SCENE_SIZE;
const CLASSES = PATCH_HEADS.map((head) => head.classes);
const ALL_CLASSES = CLASSES.reduce((a, b) => a + b, 0);

/** features [images, patches, hidden] → one [images, patches, classes] per head. */
export function patchLogits(graph: Graph, ops: TrainingOperations, features: Tensor): Tensor[] {
  const normed = ops.layerNorm(features, "tower_heads.norm", 1e-5);
  return split(graph, ops.linear(normed, "tower_heads.output", ALL_CLASSES, { bias: true }), CLASSES, -1);
}

export interface PatchLossOptions {
  readonly images: number;
  /** Whether color and kind are not learned against the halves of held-out pairs; adds the inputs patch_mask.*. */
  readonly maskHeldOut: boolean;
}

/** The sum of the heads' losses; adds the inputs patch_weights and patch_labels.* to the graph. */
export function patchLoss(
  graph: Graph,
  ops: TrainingOperations,
  features: Tensor,
  { images, maskHeldOut }: PatchLossOptions,
): Tensor {
  const weights = graph.input("patch_weights", "float32", [images * PATCHES]);
  const losses = patchLogits(graph, ops, features).map((logits, i) => {
    const { name, classes } = PATCH_HEADS[i] ?? { name: "", classes: 0 };
    const labels = graph.input(`patch_labels.${name}`, "int64", [images * PATCHES]);
    const rows = cast(graph, reshape(graph, logits, [images * PATCHES, classes]), "float32");
    const hasMask = maskHeldOut && (name === "color" || name === "kind");
    const masked = hasMask
      ? add(graph, rows, graph.input(`patch_mask.${name}`, "float32", [images * PATCHES, classes]))
      : rows;
    return crossEntropy(graph, masked, labels, weights);
  });
  return losses.reduce((a, b) => add(graph, a, b));
}

/** Draws scenes into a batch's pixels [images, 3, size, size] and, where the batch asks for them, its patch labels. */
export function writeImages(scenes: readonly Scene[], batch: Batch): PatchLabels[] {
  const pixels = floats(batch, "pixels");
  const weights = batch["patch_weights"];
  const all = scenes.map((scene, i) => {
    const coverages = rasterize(scene);
    writePixels(render(scene, SCENE_SIZE, coverages), pixels, i * PIXELS_PER_IMAGE);
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
  all.forEach((labels, i) => writeMask(labels, i * PATCHES, batch));
  const total = weights.reduce((a, b) => a + b, 0);
  for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] ?? 0) / total;
}

/** Masks the shape that would make a held-out pair with a patch's color, and the color that would with its shape. */
function writeMask(labels: PatchLabels, first: number, batch: Batch): void {
  const kinds = batch["patch_mask.kind"];
  const colors = batch["patch_mask.color"];
  if (!(kinds instanceof Float32Array && colors instanceof Float32Array)) return;
  const classes = { kind: kinds.length / batchPatches(batch), color: colors.length / batchPatches(batch) };
  labels.kind.forEach((kind, patch) => {
    const color = COLORS[(labels.color[patch] ?? 0) - 1];
    const shape = SHAPES[kind - 1];
    const row = first + patch;
    kinds.fill(0, row * classes.kind, (row + 1) * classes.kind);
    colors.fill(0, row * classes.color, (row + 1) * classes.color);
    if (!color || !shape) return;
    SHAPES.forEach((other, i) => {
      if (isHeldOut(color, other)) kinds[row * classes.kind + 1 + i] = MASKED_LOGIT;
    });
    COLORS.forEach((other, i) => {
      if (isHeldOut(other, shape)) colors[row * classes.color + 1 + i] = MASKED_LOGIT;
    });
  });
}

function batchPatches(batch: Batch): number {
  return floats(batch, "patch_weights").length;
}

function floats(batch: Batch, name: string): Float32Array {
  const array = batch[name];
  if (array instanceof Float32Array) return array;
  throw new Error(`The batch has no float32 input ${name}.`);
}
