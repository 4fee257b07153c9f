/** Trains a whole, very small LLaVA: it learns its batch, and only the parameters that the phase trains change. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { languageModel, projector, TrainingOperations, visionTower } from "@llava/models";
import type { ModelDescription } from "@llava/models";
import { cast, crossEntropy, Graph, reshape } from "@llava/onnx";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Batch } from "../src/data/batch-buffer.ts";
import { batches } from "../src/data/dataset.ts";
import type { Phase } from "../src/loop/phase.ts";
import { train, type TrainerOptions } from "../src/loop/trainer.ts";
import { initialValues } from "../src/state/initialization.ts";
import { TrainingState } from "../src/state/training-state.ts";
import { seededNumbers } from "./seeded-numbers.ts";

const MODEL: Pick<ModelDescription, "vision" | "projector" | "text"> = {
  vision: {
    family: "clip_vision_model",
    hiddenSize: 16,
    intermediateSize: 32,
    layers: 2,
    heads: 2,
    imageSize: 8,
    patchSize: 4,
    activation: "quick_gelu",
    layerNormEps: 1e-5,
    layersToRun: 2,
    keepsClassToken: false,
    tokensPerImage: 4,
  },
  projector: { family: "mlp2x_gelu", bias: true, inputSize: 16, outputSize: 24 },
  text: {
    family: "llama",
    hiddenSize: 24,
    intermediateSize: 48,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headSize: 6,
    ropeTheta: 10_000,
    rmsNormEps: 1e-5,
    vocabSize: 20,
    tiedEmbeddings: true,
    contextLength: 32,
    bosTokenId: 0,
    eosTokenIds: [1],
  },
};
const BATCH = 3;
const TOKENS = 9;

/** An image [3, size, size] and a row of token ids [TOKENS], of which the last two are the answer. */
interface Sample {
  readonly pixels: readonly number[];
  readonly ids: readonly number[];
}

/** Equal questions about different images have different answers: the loss falls only when the image is used. */
function sample(row: number): Sample {
  const random = seededNumbers(5, `pixels of ${row}`);
  const ids = Array.from({ length: TOKENS }, (_, column) => (column < 7 ? 3 : 4 + ((row * 5 + column) % 14)));
  return {
    pixels: Array.from({ length: 3 * MODEL.vision.imageSize ** 2 }, () => 2 * random.next() - 1),
    ids,
  };
}

function collate(samples: readonly Sample[], batch: Batch): void {
  const write = (name: string, values: readonly number[]): void => {
    const array = batch[name];
    if (array instanceof BigInt64Array) array.set(values.map(BigInt));
    else array?.set(values);
  };
  const perRow = (value: (sample: Sample, row: number) => readonly number[]): number[] =>
    samples.flatMap(value);
  write(
    "pixels",
    perRow(({ pixels }) => pixels),
  );
  write(
    "ids",
    perRow(({ ids }) => ids),
  );
  write(
    "rows",
    perRow(({ ids }, row) => ids.map((_, i) => (i >= 1 && i < 5 ? row * 4 + i - 1 : -1))),
  );
  write(
    "logitRows",
    perRow((_, row) => [6, 7].map((column) => row * TOKENS + column)),
  );
  write(
    "labels",
    perRow(({ ids }) => ids.slice(7)),
  );
  write(
    "weights",
    perRow(() => [1, 1].map(() => 1 / (2 * BATCH))),
  );
}

function llavaPhase(name: string, steps: number, trains: (parameter: string) => boolean): Phase {
  const { vision, text } = MODEL;
  return {
    name,
    title: name,
    steps,
    schedule: { peak: 0.01, warmup: 0.05, floor: 0.1, steps },
    optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.01, clipNorm: 1 },
    batches: batches({ dataset: { length: BATCH, get: sample }, collate, samplesPerStep: BATCH }),
    build({ computeType }) {
      const graph = new Graph(name);
      const options = { ...text, computeType };
      const ops = new TrainingOperations(graph, options);
      const pixels = graph.input("pixels", "float32", [BATCH, 3, vision.imageSize, vision.imageSize]);
      const projected = projector(ops, MODEL.projector, visionTower(ops, vision, pixels));
      const logits = languageModel(ops, text, {
        ids: graph.input("ids", "int64", [BATCH, TOKENS]),
        image: {
          features: reshape(graph, projected, [BATCH * vision.tokensPerImage, text.hiddenSize]),
          featureRows: graph.input("rows", "int64", [BATCH, TOKENS]),
        },
        logitRows: graph.input("logitRows", "int64", [BATCH * 2]),
      });
      const labels = graph.input("labels", "int64", [BATCH * 2]);
      const weights = graph.input("weights", "float32", [BATCH * 2]);
      const loss = crossEntropy(graph, cast(graph, logits, "float32"), labels, weights);
      return { graph, loss, parameters: ops.parameters };
    },
    trains,
    initialize: (parameter, shape) => initialValues(parameter, shape, seededNumbers(1, parameter), 2),
  };
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "llava-training-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function trainTiny(
  phases: readonly Phase[],
  state: TrainingState,
  change: Partial<TrainerOptions> = {},
): Promise<number[]> {
  const losses: number[] = [];
  await train(phases, state, {
    folder,
    threads: 1,
    saveEvery: 1000,
    probeEvery: 1000,
    progress: { isTTY: false, write: () => true },
    onStep: ({ loss }) => losses.push(loss),
    ...change,
  });
  return losses;
}

it("learns what distinguishes its images, down to nothing", async () => {
  const losses = await trainTiny([llavaPhase("all", 200, () => true)], new TrainingState());
  expect(losses[0]).toBeGreaterThan(2);
  expect(losses.at(-1)).toBeLessThan(0.01);
});

it("learns in float16 too, with weights and moments in float32", async () => {
  const state = new TrainingState();
  const losses = await trainTiny([llavaPhase("all", 200, () => true)], state, { computeType: "float16" });
  expect(losses.at(-1)).toBeLessThan(0.05);
  for (const value of state.parameters.values()) expect(value.dtype).toBe("float32");
});

it("trained in the projector alone keeps tower and language model byte for byte", async () => {
  const state = new TrainingState();
  const warmUp = llavaPhase("all", 2, () => true);
  await trainTiny([warmUp], state);
  const before = new Map(
    [...state.parameters].map(([name, value]) => [name, Buffer.from(value.data().slice().buffer)]),
  );
  const losses = await trainTiny(
    [warmUp, llavaPhase("projector", 60, (name) => name.startsWith("multi_modal_projector."))],
    state,
  );
  expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
  for (const [name, value] of state.parameters) {
    const isSame = before.get(name)?.equals(Buffer.from(value.data().slice().buffer));
    expect([name, isSame]).toEqual([name, !name.startsWith("multi_modal_projector.")]);
  }
});

it("starts each parameter in its own way", () => {
  const values = (name: string, ...shape: number[]): Float32Array =>
    initialValues(name, shape, seededNumbers(1, name), 4);
  const deviation = (array: Float32Array): number =>
    Math.sqrt(array.reduce((sum, x) => sum + x * x, 0) / array.length);
  expect(new Set(values("layers.0.layer_norm1.weight", 8))).toEqual(new Set([1]));
  expect(new Set(values("model.norm.weight", 8))).toEqual(new Set([1]));
  expect(new Set(values("mlp.fc1.bias", 8))).toEqual(new Set([0]));
  expect(deviation(values("self_attn.q_proj.weight", 64, 100))).toBeCloseTo(0.1, 2);
  expect(deviation(values("patch_embedding.weight", 64, 3, 5, 5))).toBeCloseTo(1 / Math.sqrt(75), 2);
  // Into the residual stream of four layers: 1/√8 of that.
  expect(deviation(values("mlp.down_proj.weight", 64, 100))).toBeCloseTo(0.1 / Math.sqrt(8), 2);
  expect(deviation(values("embed_tokens.weight", 300, 20))).toBeCloseTo(0.02, 2);
  expect(values("self_attn.q_proj.weight", 4, 4)).toEqual(values("self_attn.q_proj.weight", 4, 4));
});
