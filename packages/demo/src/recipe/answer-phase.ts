/** Builds the phases that learn to answer: the language model on text, the projector on captions, everything on dialogues. */
import { languageModel, projector, TrainingOperations, visionTower } from "@llava/models";
import { add, cast, type ComputeType, crossEntropy, Graph, reshape, scale, type Tensor } from "@llava/onnx";
import { type Batch, batches, initialValues, type Objective, type Phase } from "@llava/training";
import { Random, type Scene, SCENE_SIZE, sceneOf, SCENES_PER_SPLIT, type Split } from "../scenes/index.ts";
import { exactAnswers } from "./answer-probe.ts";
import { DEMO_MODEL } from "./model/demo-model.ts";
import { type Example, type Sample, type Supervised, writeSamples } from "./text/answer-samples.ts";
import type { BytePairEncoder } from "./text/bpe.ts";
import { PATCHES } from "./vision/patch-labels.ts";
import { patchLoss, writeImages } from "./vision/patch-objective.ts";

export interface AnswerPhaseOptions {
  readonly name: string;
  /**
   * Key of the phase's random numbers. It differs from the name of a phase that was renamed: the samples are those that the
   * shipped model was trained on.
   */
  readonly stream: string;
  readonly title: string;
  readonly steps: number;
  /** Number of samples in a batch. */
  readonly samples: number;
  readonly peakLearningRate: number;
  /** Number of steps over which the learning rate falls; that of the phase when left out. */
  readonly scheduleSteps?: number;
  readonly seed: number;
  /** Number of the first training scene, so that a later phase sees new ones. */
  readonly firstScene: number;
  /** Share of objects in training scenes whose color has no name. */
  readonly namelessShare?: number;
  /** Losses that leave out the classes that would make a held-out pair: that of the answers, or the tower's own too. */
  readonly maskHeldOut?: "answers" | "answers and patches";
  /** Number of positions in a row. */
  readonly positions: number;
  /** Number of supervised tokens that a batch has room for, per sample. */
  readonly supervisedPerSample: number;
  readonly hasImages: boolean;
  /** Weight of the tower's own loss beside that of the answers; 0 leaves it out. */
  readonly patchLossWeight: number;
  readonly trains: (parameter: string) => boolean;
  readonly sample: (encoder: BytePairEncoder, scene: Scene, random: Random, split: Split) => Sample;
  readonly encoder: () => BytePairEncoder;
}

export function answerPhase(options: AnswerPhaseOptions): Phase {
  const { name, title, steps, samples, peakLearningRate, seed, trains } = options;
  return {
    name,
    title,
    steps,
    schedule: { peak: peakLearningRate, warmup: 0.03, floor: 0.02, steps: options.scheduleSteps ?? steps },
    optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, clipNorm: 1 },
    batches: batches({
      dataset: {
        length: SCENES_PER_SPLIT - options.firstScene,
        get: (index) => exampleAt(options, "train", index),
      },
      collate: (examples, batch) => void writeExamples(options, examples, batch),
      samplesPerStep: samples,
    }),
    build: ({ computeType }) => build(options, computeType),
    trains,
    initialize: (parameter, shape) =>
      initialValues(parameter, shape, Random.of(seed, parameter), DEMO_MODEL.text.layers),
    probe: async (state) => {
      const { graph, ops, logits } = forward(options, "float32");
      return await exactAnswers(state, {
        graph,
        parameters: ops.parameters,
        logits,
        samples,
        example: (index) => exampleAt(options, "test", index),
        write: (examples, batch) => writeExamples(options, examples, batch),
      });
    },
  };
}

interface Forward {
  readonly graph: Graph;
  readonly ops: TrainingOperations;
  /** Float32 [pool, vocabulary], where pool is the number of supervised tokens that a batch has room for. */
  readonly logits: Tensor;
  readonly features: Tensor | undefined;
}

function forward(options: AnswerPhaseOptions, computeType: ComputeType): Forward {
  const { name, samples, positions, supervisedPerSample, hasImages } = options;
  const graph = new Graph(name);
  const settings = { ropeTheta: DEMO_MODEL.text.ropeTheta, computeType };
  const ops = new TrainingOperations(graph, settings);
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
  return { graph, ops, logits: cast(graph, logits, "float32"), features };
}

function build(options: AnswerPhaseOptions, computeType: ComputeType): Objective {
  const { graph, ops, logits, features } = forward(options, computeType);
  const pool = options.samples * options.supervisedPerSample;
  const labels = graph.input("labels", "int64", [pool]);
  const masked = options.maskHeldOut
    ? add(graph, logits, graph.input("logit_mask", "float32", [pool, DEMO_MODEL.text.vocabSize]))
    : logits;
  const answers = crossEntropy(graph, masked, labels, graph.input("weights", "float32", [pool]));
  if (!features || options.patchLossWeight === 0) return { graph, loss: answers, parameters: ops.parameters };
  const maskHeldOut = options.maskHeldOut === "answers and patches";
  const patches = patchLoss(graph, ops, features, { images: options.samples, maskHeldOut });
  const loss = add(graph, answers, scale(graph, patches, options.patchLossWeight));
  return { graph, loss, parameters: ops.parameters };
}

/** The example with the number `index` of a phase, which is a function of the options, the split and the index. */
function exampleAt(options: AnswerPhaseOptions, split: Split, index: number): Example {
  const { seed, stream, firstScene, namelessShare } = options;
  const sceneIndex = firstScene + index;
  const scene = sceneOf(split, sceneIndex, split === "train" ? namelessShare : 0);
  const random = Random.of(seed, stream, split, sceneIndex);
  return { scene, sample: options.sample(options.encoder(), scene, random, split) };
}

/** Writes a batch; returns the supervised labels that it has, in order. */
function writeExamples(
  { hasImages, positions }: AnswerPhaseOptions,
  examples: readonly Example[],
  batch: Batch,
): Supervised[] {
  if (hasImages)
    writeImages(
      examples.map(({ scene }) => scene),
      batch,
    );
  return writeSamples(
    examples.map(({ sample }) => sample),
    positions,
    batch,
  );
}
