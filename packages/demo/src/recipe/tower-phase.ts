// Pre-training of the vision tower, in place of CLIP's: every patch says what it shows and where its object is.
import { TrainingOperations, visionTower } from "@llava/models";
import { Graph, type Tensor } from "@llava/onnx";
import { initialValues } from "@llava/training";
import type { Objective, Phase } from "@llava/training";
import type { TrainingState } from "@llava/training";
import { DEMO_MODEL } from "./model/demo-model.ts";
import { PATCH_HEADS, PATCHES, type PatchLabels } from "./vision/patch-labels.ts";
import { patchLogits, patchLoss, writeImages } from "./vision/patch-objective.ts";
import { Probe } from "./probe.ts";
import { Random, SCENE_SIZE, sceneOf } from "../scenes/index.ts";

/** Scenes of the test split that the probe looks at. */
const PROBE_IMAGES = 256;

export interface TowerPhaseOptions {
  readonly steps: number;
  readonly images: number;
  readonly peakLearningRate: number;
  readonly seed: number;
}

export function towerPhase({ steps, images, peakLearningRate, seed }: TowerPhaseOptions): Phase {
  return {
    name: "tower",
    title: "Vision tower",
    steps,
    samplesPerStep: images,
    schedule: { peak: peakLearningRate, warmup: 0.03, floor: 0.02, steps },
    optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, clipNorm: 1 },
    build: () => build(images),
    trains: () => true,
    initialize: (name, shape) => initialValues(name, shape, Random.of(seed, name), DEMO_MODEL.vision.layers),
    fill: (step, batch) =>
      void writeImages(
        Array.from({ length: images }, (_, i) => sceneOf("train", step * images + i)),
        batch,
      ),
    probe: (state) => accuracy(state, images),
  };
}

function build(images: number): Objective {
  const { graph, ops, features } = tower("tower", images);
  return {
    graph,
    loss: patchLoss(graph, ops, features, { images, sparesHeldOut: false }),
    parameters: ops.parameters,
  };
}

function tower(name: string, images: number): { graph: Graph; ops: TrainingOperations; features: Tensor } {
  const graph = new Graph(name);
  const ops = new TrainingOperations(graph, { ropeTheta: DEMO_MODEL.text.ropeTheta });
  const pixels = graph.input("pixels", "float32", [images, 3, SCENE_SIZE, SCENE_SIZE]);
  return { graph, ops, features: visionTower(ops, DEMO_MODEL.vision, pixels) };
}

/** Share of object patches whose largest logit is right, per head, on scenes of the test split. */
async function accuracy(state: TrainingState, images: number): Promise<string> {
  const { graph, ops, features } = tower("tower-probe", images);
  patchLogits(graph, ops, features).forEach((logits, i) => graph.output(PATCH_HEADS[i]?.name ?? "", logits));
  using probe = await Probe.compile(graph, ops.parameters, state);
  const right = new Float64Array(PATCH_HEADS.length);
  let seen = 0;
  for (let first = 0; first < PROBE_IMAGES; first += images) {
    const labels = writeImages(
      Array.from({ length: images }, (_, i) => sceneOf("test", first + i)),
      probe.batch,
    );
    const outputs = await probe.run();
    seen += labels.reduce((sum, { kind }) => sum + kind.filter((id) => id > 0).length, 0);
    PATCH_HEADS.forEach(({ name, classes }, head) => {
      right[head] =
        (right[head] ?? 0) + countRight(outputs[name] ?? new Float32Array(), labels, name, classes);
    });
  }
  return PATCH_HEADS.map(
    ({ name }, head) => `${name} ${((100 * (right[head] ?? 0)) / seen).toFixed(1)}`,
  ).join("  ");
}

function countRight(
  logits: Float32Array,
  labels: readonly PatchLabels[],
  head: keyof PatchLabels,
  classes: number,
): number {
  let count = 0;
  labels.forEach((of, image) =>
    of.kind.forEach((kind, patch) => {
      if (kind === 0) return;
      const start = (image * PATCHES + patch) * classes;
      const row = logits.subarray(start, start + classes);
      if (row.indexOf(Math.max(...row)) === of[head][patch]) count++;
    }),
  );
  return count;
}
