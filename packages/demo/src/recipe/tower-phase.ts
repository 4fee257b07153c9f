/** Builds the phase that pre-trains the vision tower, in place of CLIP's training: every patch names what it shows. */
import { TrainingOperations, visionTower } from "@llava/models";
import { type ComputeType, Graph, type Tensor } from "@llava/onnx";
import {
  batches,
  ForwardPass,
  initialValues,
  type Objective,
  type Phase,
  type TrainingState,
} from "@llava/training";
import { Random, SCENE_SIZE, sceneOf, SCENES_PER_SPLIT } from "../scenes/index.ts";
import { DEMO_MODEL } from "./model/demo-model.ts";
import { PATCH_HEADS, PATCHES, type PatchLabels } from "./vision/patch-labels.ts";
import { patchLogits, patchLoss, writeImages } from "./vision/patch-objective.ts";

/** Number of scenes of the test split that the probe measures. */
const PROBE_IMAGES = 256;

export interface TowerPhaseOptions {
  readonly steps: number;
  /** Number of images in a batch. */
  readonly images: number;
  readonly peakLearningRate: number;
  readonly seed: number;
}

export function towerPhase({ steps, images, peakLearningRate, seed }: TowerPhaseOptions): Phase {
  return {
    name: "tower",
    title: "Vision tower",
    steps,
    schedule: { peak: peakLearningRate, warmup: 0.03, floor: 0.02, steps },
    optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, clipNorm: 1 },
    batches: batches({
      dataset: { length: SCENES_PER_SPLIT, get: (index) => sceneOf("train", index) },
      collate: (scenes, batch) => void writeImages(scenes, batch),
      samplesPerStep: images,
    }),
    build: ({ computeType }) => build(images, computeType),
    trains: () => true,
    initialize: (name, shape) => initialValues(name, shape, Random.of(seed, name), DEMO_MODEL.vision.layers),
    probe: async (state) => await accuracy(state, images),
  };
}

function build(images: number, computeType: ComputeType): Objective {
  const { graph, ops, features } = tower("tower", images, computeType);
  return {
    graph,
    loss: patchLoss(graph, ops, features, { images, maskHeldOut: false }),
    parameters: ops.parameters,
  };
}

function tower(
  name: string,
  images: number,
  computeType: ComputeType,
): { graph: Graph; ops: TrainingOperations; features: Tensor } {
  const graph = new Graph(name);
  const settings = { ropeTheta: DEMO_MODEL.text.ropeTheta, computeType };
  const ops = new TrainingOperations(graph, settings);
  const pixels = graph.input("pixels", "float32", [images, 3, SCENE_SIZE, SCENE_SIZE]);
  return { graph, ops, features: visionTower(ops, DEMO_MODEL.vision, pixels) };
}

/** Share of object patches whose largest logit is right, per head, on scenes of the test split. */
async function accuracy(state: TrainingState, images: number): Promise<string> {
  const { graph, ops, features } = tower("tower-probe", images, "float32");
  patchLogits(graph, ops, features).forEach((logits, i) => graph.output(PATCH_HEADS[i]?.name ?? "", logits));
  using pass = await ForwardPass.compile(graph, ops.parameters, state);
  const right = new Float64Array(PATCH_HEADS.length);
  let objectPatches = 0;
  for (let first = 0; first < PROBE_IMAGES; first += images) {
    const scenes = Array.from({ length: images }, (_, i) => sceneOf("test", first + i));
    const labels = writeImages(scenes, pass.batch);
    const outputs = await pass.run();
    objectPatches += labels.reduce((sum, { kind }) => sum + kind.filter((id) => id > 0).length, 0);
    PATCH_HEADS.forEach(({ name, classes }, head) => {
      right[head] =
        (right[head] ?? 0) + countRight(outputs[name] ?? new Float32Array(), labels, name, classes);
    });
  }
  return PATCH_HEADS.map(
    ({ name }, head) => `${name} ${((100 * (right[head] ?? 0)) / objectPatches).toFixed(1)}`,
  ).join("  ");
}

function countRight(
  logits: Float32Array,
  labels: readonly PatchLabels[],
  head: keyof PatchLabels,
  classes: number,
): number {
  let count = 0;
  labels.forEach((ofImage, image) =>
    ofImage.kind.forEach((kind, patch) => {
      if (kind === 0) return;
      const start = (image * PATCHES + patch) * classes;
      const row = logits.subarray(start, start + classes);
      if (row.indexOf(Math.max(...row)) === ofImage[head][patch]) count++;
    }),
  );
  return count;
}
