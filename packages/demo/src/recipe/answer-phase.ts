// The phases that learn to answer: the language model on text, the projector on descriptions, everything on dialogues.
import { languageModel, projector, TrainingOperations, visionTower } from "@llava/models";
import { add, Graph, crossEntropy, reshape, scale, type Tensor } from "@llava/onnx";
import type { BytePairEncoder } from "./text/bpe.ts";
import { initialValues } from "@llava/training";
import type { Batch, Objective, Phase } from "@llava/training";
import type { TrainingState } from "@llava/training";
import { type Sample, type Supervised, writeSamples } from "./text/answer-samples.ts";
import { DEMO_MODEL } from "./model/demo-model.ts";
import { PATCHES } from "./vision/patch-labels.ts";
import { patchLoss, writeImages } from "./vision/patch-objective.ts";
import { Probe } from "./probe.ts";
import { Random, type Scene, SCENE_SIZE, sceneOf, type Split } from "../scenes/index.ts";

export interface AnswerPhaseOptions {
  readonly name: string;
  readonly title: string;
  readonly steps: number;
  /** Samples of a batch. */
  readonly samples: number;
  readonly peakLearningRate: number;
  /** Steps over which the learning rate falls, when the phase ends before it is all the way down. */
  readonly scheduleSteps?: number;
  readonly seed: number;
  /** Number of the first training scene, so that a later phase sees new ones. */
  readonly firstScene: number;
  /** Share of objects in training scenes whose color has no name. */
  readonly namelessShare?: number;
  /** Which losses leave out what would make a held-out pair: that of the answers, or the tower's own too. */
  readonly sparesHeldOut?: "answers" | "answers and patches";
  /** Positions of a row. */
  readonly positions: number;
  /** Supervised tokens that a batch has room for, per sample. */
  readonly supervisedPerSample: number;
  readonly hasImages: boolean;
  /** Weight of the tower's own loss beside that of the answers; 0 leaves it out. */
  readonly patchLossWeight: number;
  readonly trains: (parameter: string) => boolean;
  readonly sample: (encoder: BytePairEncoder, scene: Scene, random: Random, split: Split) => Sample;
  readonly encoder: () => BytePairEncoder;
}

const PROBE_SAMPLES = 192;

export function answerPhase(options: AnswerPhaseOptions): Phase {
  const { name, title, steps, samples, peakLearningRate, seed, trains } = options;
  return {
    name,
    title,
    steps,
    samplesPerStep: samples,
    schedule: { peak: peakLearningRate, warmup: 0.03, floor: 0.02, steps: options.scheduleSteps ?? steps },
    optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, clipNorm: 1 },
    build: () => build(options),
    trains,
    initialize: (parameter, shape) =>
      initialValues(parameter, shape, Random.of(seed, parameter), DEMO_MODEL.text.layers),
    fill: (step, batch) => void fill(options, batch, "train", step),
    probe: (state) => exactAnswers(options, state),
  };
}

interface Forward {
  readonly graph: Graph;
  readonly ops: TrainingOperations;
  /** [pool, vocabulary] */
  readonly logits: Tensor;
  readonly features: Tensor | undefined;
}

function forward({ name, samples, positions, supervisedPerSample, hasImages }: AnswerPhaseOptions): Forward {
  const graph = new Graph(name);
  const ops = new TrainingOperations(graph, { ropeTheta: DEMO_MODEL.text.ropeTheta });
  const features = hasImages
    ? visionTower(
        ops,
        DEMO_MODEL.vision,
        graph.input("pixels", "float32", [samples, 3, SCENE_SIZE, SCENE_SIZE]),
      )
    : undefined;
  const image = features && {
    features: reshape(graph, projector(ops, DEMO_MODEL.projector, features), [
      samples * PATCHES,
      DEMO_MODEL.text.hiddenSize,
    ]),
    featureRows: graph.input("feature_rows", "int64", [samples, positions]),
  };
  const logits = languageModel(ops, DEMO_MODEL.text, {
    ids: graph.input("input_ids", "int64", [samples, positions]),
    ...(image ? { image } : {}),
    logitRows: graph.input("logit_rows", "int64", [samples * supervisedPerSample]),
  });
  return { graph, ops, logits, features };
}

function build(options: AnswerPhaseOptions): Objective {
  const { graph, ops, logits, features } = forward(options);
  const pool = options.samples * options.supervisedPerSample;
  const labels = graph.input("labels", "int64", [pool]);
  const spared = options.sparesHeldOut
    ? add(graph, logits, graph.input("spared", "float32", [pool, DEMO_MODEL.text.vocabSize]))
    : logits;
  const answers = crossEntropy(graph, spared, labels, graph.input("weights", "float32", [pool]));
  if (!features || options.patchLossWeight === 0) return { graph, loss: answers, parameters: ops.parameters };
  const sparesHeldOut = options.sparesHeldOut === "answers and patches";
  const patches = patchLoss(graph, ops, features, { images: options.samples, sparesHeldOut });
  const loss = add(graph, answers, scale(graph, patches, options.patchLossWeight));
  return { graph, loss, parameters: ops.parameters };
}

function fill(
  options: AnswerPhaseOptions,
  batch: Batch,
  split: Split,
  step: number,
): { samples: Sample[]; pooled: Supervised[] } {
  const { samples: count, seed, name, positions } = options;
  const encoder = options.encoder();
  const indices = Array.from({ length: count }, (_, i) => options.firstScene + step * count + i);
  const namelessShare = split === "train" ? options.namelessShare : 0;
  const scenes = indices.map((index) => sceneOf(split, index, namelessShare));
  const samples = scenes.map((scene, i) =>
    options.sample(encoder, scene, Random.of(seed, name, split, indices[i] ?? 0), split),
  );
  if (options.hasImages) writeImages(scenes, batch);
  return { samples, pooled: writeSamples(samples, positions, batch) };
}

/** Share of test answers whose every token is the most likely one after the true tokens before it, by kind. */
async function exactAnswers(options: AnswerPhaseOptions, state: TrainingState): Promise<string> {
  const { graph, ops, logits } = forward(options);
  const shape = [options.samples * options.supervisedPerSample];
  graph.output(
    "likeliest",
    graph.apply(
      "ArgMax",
      [logits],
      { dtype: "int64", shape },
      { attributes: { axis: { int: -1 }, keepdims: { int: 0 } } },
    ),
  );
  using probe = await Probe.compile(graph, ops.parameters, state);
  const labels = { labels: new BigInt64Array(shape[0] ?? 0), weights: new Float32Array(shape[0] ?? 0) };
  const tally = new Map<string, { right: number; all: number }>();
  for (let step = 0; step * options.samples < PROBE_SAMPLES; step++) {
    const { samples, pooled } = fill(options, { ...probe.batch, ...labels }, "test", step);
    const { likeliest = new Float32Array() } = await probe.run();
    const isWrong = new Set(
      pooled
        .filter((_, i) => likeliest[i] !== Number(labels.labels[i]))
        .map(({ sample, label }) => `${sample}:${label}`),
    );
    const last = pooled.at(-1);
    samples.forEach(({ turns, encoded }, sample) =>
      encoded.answers.forEach(({ from, to }, turn) => {
        const isPooled = last && (sample < last.sample || (sample === last.sample && to - 1 <= last.label));
        if (!isPooled) return;
        const kind = turns[turn]?.kind ?? "";
        const count = tally.get(kind) ?? { right: 0, all: 0 };
        const isRight = Array.from({ length: to - from }, (_, i) => `${sample}:${from + i}`).every(
          (key) => !isWrong.has(key),
        );
        tally.set(kind, { right: count.right + Number(isRight), all: count.all + 1 });
      }),
    );
  }
  const all = [...tally.values()].reduce(
    (sum, { right, all: n }) => ({ right: sum.right + right, all: sum.all + n }),
    { right: 0, all: 0 },
  );
  const kinds = [...tally]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([kind, { right, all: n }]) => `${kind} ${((100 * right) / n).toFixed(0)}`);
  return `all ${((100 * all.right) / all.all).toFixed(1)} of ${all.all}  ${kinds.join("  ")}`;
}
