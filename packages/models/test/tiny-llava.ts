/** Makes a tiny LLaVA in several shapes and runs it in both lowerings on the same weights. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Checkpoint, writeSafetensors } from "@llava/checkpoint";
import { cast, Graph, reshape, staticShape, type Tensor } from "@llava/onnx";
import { Session, Value } from "@llava/runtime";
import { float16Numbers } from "@llava/testing/float16-numbers";
import {
  type ComputeType,
  DECODER_IO,
  decoderGraph,
  ENCODER_IO,
  encoderGraph,
  languageModel,
  type ModelDescription,
  projector,
  TrainingOperations,
  visionTower,
} from "../src/index.ts";

type Parts = Pick<ModelDescription, "vision" | "projector" | "text">;

interface Shape {
  readonly kvHeads: number;
  readonly tied: boolean;
  readonly layersToRun: number;
  readonly keepsClassToken: boolean;
  readonly activation: "gelu" | "quick_gelu";
  readonly bias: boolean;
  readonly qkvBias?: boolean;
  readonly window?: number;
  readonly projector?: string;
}

export const CASES: readonly [[string, Shape], ...[string, Shape][]] = [
  [
    "all heads, untied",
    { kvHeads: 4, tied: false, layersToRun: 3, keepsClassToken: false, activation: "quick_gelu", bias: true },
  ],
  [
    "grouped heads, untied",
    { kvHeads: 2, tied: false, layersToRun: 2, keepsClassToken: false, activation: "quick_gelu", bias: true },
  ],
  [
    "grouped heads, tied",
    { kvHeads: 2, tied: true, layersToRun: 3, keepsClassToken: true, activation: "gelu", bias: false },
  ],
  [
    "one key head, tied",
    { kvHeads: 1, tied: true, layersToRun: 1, keepsClassToken: false, activation: "gelu", bias: true },
  ],
  [
    "grouped heads, biases of queries, keys and values",
    {
      kvHeads: 2,
      tied: true,
      layersToRun: 3,
      keepsClassToken: false,
      activation: "gelu",
      bias: true,
      qkvBias: true,
    },
  ],
  [
    "grouped heads, a sliding window of 5, one linear layer as projector",
    {
      kvHeads: 2,
      tied: false,
      layersToRun: 2,
      keepsClassToken: false,
      activation: "quick_gelu",
      bias: true,
      window: 5,
      projector: "linear",
    },
  ],
];

const BATCH = 2;
const TOKENS = 17;
const CAPACITY = 24;
/** Where the image's features begin in each row. */
const IMAGE_STARTS = [3, 0] as const;

export function partsOf(shape: Shape): Parts {
  const { kvHeads, tied, layersToRun, keepsClassToken, activation, bias } = shape;
  return {
    vision: {
      family: "clip_vision_model",
      hiddenSize: 24,
      intermediateSize: 40,
      layers: 3,
      heads: 3,
      imageSize: 12,
      patchSize: 4,
      activation,
      layerNormEps: 1e-5,
      layersToRun,
      keepsClassToken,
      tokensPerImage: keepsClassToken ? 10 : 9,
    },
    projector: { family: shape.projector ?? "mlp2x_gelu", bias, inputSize: 24, outputSize: 40 },
    text: {
      family: "llama",
      hiddenSize: 40,
      intermediateSize: 48,
      layers: 2,
      heads: 4,
      kvHeads,
      headSize: 16,
      ropeTheta: 10_000,
      rmsNormEps: 1e-5,
      vocabSize: 40,
      tiedEmbeddings: tied,
      contextLength: 64,
      bosTokenId: 1,
      eosTokenIds: [2],
      ...(shape.qkvBias === undefined ? {} : { qkvBias: shape.qkvBias }),
      ...(shape.window === undefined ? {} : { slidingWindow: shape.window }),
    },
  };
}

/** Numbers in [-1, 1) that look like noise and are the same everywhere. */
function noise(size: number, seed: number): Float32Array {
  return Float32Array.from(
    { length: size },
    (_, i) => (Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453) % 1,
  );
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

function randomWeights(shapes: ReadonlyMap<string, readonly number[]>): Weight[] {
  return [...shapes].map(([name, shape], seed) => {
    const around = /norm\d?\.weight$/.test(name) ? 1 : 0;
    const scale = shape.length > 1 ? 2 / Math.sqrt(sizeOf(shape.slice(1))) : 0.3;
    return { name, shape, data: noise(sizeOf(shape), seed).map((value) => around + scale * value) };
  });
}

interface Inputs {
  /** [BATCH, 3, size, size] */
  readonly pixels: Float32Array;
  /** [BATCH, TOKENS] */
  readonly ids: readonly number[][];
  /** [BATCH, TOKENS]: row of the image's own features, or −1. */
  readonly rows: readonly number[][];
}

export function inputsOf({ vision }: Parts): Inputs {
  const rowAt = (start: number, position: number): number => {
    const row = position - start;
    return row >= 0 && row < vision.tokensPerImage ? row : -1;
  };
  return {
    pixels: noise(BATCH * 3 * vision.imageSize ** 2, 99),
    ids: IMAGE_STARTS.map((_, b) => Array.from({ length: TOKENS }, (_, t) => (7 * t + 11 * b) % 40)),
    rows: IMAGE_STARTS.map((start) => Array.from({ length: TOKENS }, (_, t) => rowAt(start, t))),
  };
}

const int64 = (values: readonly number[], shape: readonly number[]): Value =>
  Value.wrap("int64", BigInt64Array.from(values, BigInt), shape);

/** Both outputs of the training graph: features [BATCH·tokensPerImage, hidden], logits [BATCH·TOKENS, vocabulary]. */
interface Outputs {
  readonly features: Float32Array;
  readonly logits: Float32Array;
}

export function trainingGraph(
  { vision, projector: joint, text }: Parts,
  computeType: ComputeType,
): {
  graph: Graph;
  shapes: Map<string, readonly number[]>;
  logits: Tensor;
  parameters: ReadonlyMap<string, Tensor>;
} {
  const graph = new Graph("training");
  const ops = new TrainingOperations(graph, { ...text, computeType });
  const pixels = graph.input("pixels", "float32", [BATCH, 3, vision.imageSize, vision.imageSize]);
  const projected = projector(ops, joint, visionTower(ops, vision, pixels));
  const rows = BATCH * vision.tokensPerImage;
  const features = reshape(graph, projected, [rows, text.hiddenSize]);
  const logits = languageModel(ops, text, {
    ids: graph.input("ids", "int64", [BATCH, TOKENS]),
    image: { features, featureRows: graph.input("rows", "int64", [BATCH, TOKENS]) },
    logitRows: graph.input("logitRows", "int64", [BATCH * TOKENS]),
  });
  graph.output("features", cast(graph, features, "float32"));
  graph.output("logits", cast(graph, logits, "float32"));
  const { parameters } = ops;
  const shapes = new Map([...parameters].map(([name, tensor]) => [name, staticShape(tensor)]));
  return { graph, shapes, logits, parameters };
}

/** Runs a training graph: the outputs that are asked for, by name. */
export async function runGraph(
  parts: Parts,
  graph: Graph,
  weights: readonly Weight[],
  { pixels, ids, rows }: Inputs,
  outputs: readonly string[],
): Promise<Record<string, Float32Array>> {
  using session = await Session.load(graph.toBytes(), { threads: 1 });
  const { imageSize, tokensPerImage } = parts.vision;
  const all = rows.flatMap((row, b) => row.map((index) => (index < 0 ? -1 : b * tokensPerImage + index)));
  const feeds = {
    pixels: Value.wrap("float32", pixels, [BATCH, 3, imageSize, imageSize]),
    ids: int64(ids.flat(), [BATCH, TOKENS]),
    rows: int64(all, [BATCH, TOKENS]),
    logitRows: int64([...Array.from({ length: BATCH * TOKENS }).keys()], [BATCH * TOKENS]),
    ...Object.fromEntries(weights.map(({ name, shape, data }) => [name, Value.wrap("float32", data, shape)])),
  };
  const results = Object.entries(await session.run(feeds, outputs));
  return Object.fromEntries(results.map(([name, value]) => [name, floats(value)]));
}

export async function runTraining(
  parts: Parts,
  graph: Graph,
  weights: readonly Weight[],
  inputs: Inputs,
): Promise<Outputs> {
  const none = new Float32Array();
  const outputs = await runGraph(parts, graph, weights, inputs, ["features", "logits"]);
  const { features = none, logits = none } = outputs;
  return { features, logits };
}

function floats(value: Value | undefined): Float32Array {
  const data = value?.data() ?? [];
  return data instanceof Uint16Array ? float16Numbers(data) : Float32Array.from(data, Number);
}

/** Row by row, as the engine does: encoder, then the whole prompt in two chunks over a KV cache. */
export async function runServing(
  parts: Parts,
  folder: string,
  { pixels, ids, rows }: Inputs,
  computeType: ComputeType = "float32",
): Promise<Outputs> {
  const weights = await Checkpoint.open(folder);
  const options = { externalDataFolder: folder, threads: 1 };
  using encoder = await Session.load(encoderGraph(parts, weights, computeType), options);
  using decoder = await Session.load(decoderGraph(parts, weights, computeType), options);
  const { imageSize } = parts.vision;
  const perImage = 3 * imageSize ** 2;
  const features: number[] = [];
  const logits: number[] = [];
  for (let b = 0; b < BATCH; b++) {
    const image = pixels.slice(b * perImage, (b + 1) * perImage);
    const feeds = { [ENCODER_IO.pixels]: Value.wrap("float32", image, [1, 3, imageSize, imageSize]) };
    const encoded = (await encoder.run(feeds, [ENCODER_IO.features]))[ENCODER_IO.features];
    if (!encoded) throw new Error("no features");
    const own = encoded.view(0, [parts.vision.tokensPerImage, parts.text.hiddenSize]);
    features.push(...floats(encoded));
    logits.push(
      ...(await decode(parts.text, decoder, { ids: ids[b] ?? [], rows: rows[b] ?? [], features: own })),
    );
  }
  return { features: Float32Array.from(features), logits: Float32Array.from(logits) };
}

async function decode(
  text: Parts["text"],
  decoder: Session,
  { ids, rows, features }: { ids: readonly number[]; rows: readonly number[]; features: Value },
): Promise<number[]> {
  const binding = decoder.bind();
  for (let layer = 0; layer < text.layers; layer++) {
    const cache = (): Value => decoder.allocate(features.dtype, [1, text.kvHeads, CAPACITY, text.headSize]);
    const [key, value] = [cache(), cache()];
    binding.input(DECODER_IO.pastKey(layer), key).output(DECODER_IO.presentKey(layer), key);
    binding.input(DECODER_IO.pastValue(layer), value).output(DECODER_IO.presentValue(layer), value);
  }
  const logits: number[] = [];
  for (const [from, to] of [
    [0, 6],
    [6, TOKENS],
  ] as const) {
    const out = new Float32Array((to - from) * text.vocabSize);
    await binding
      .input(DECODER_IO.ids, int64(ids.slice(from, to), [1, to - from]))
      .input(DECODER_IO.featureRows, int64(rows.slice(from, to), [1, to - from]))
      .input(DECODER_IO.features, features)
      .input(DECODER_IO.logitRows, int64([...ids.slice(from, to).keys()], [to - from]))
      .input(DECODER_IO.lastPositions, Value.wrap("int32", Int32Array.of(to - 1), [1]))
      .input(DECODER_IO.totalLength, Value.wrap("int32", Int32Array.of(to), []))
      .output(DECODER_IO.logits, Value.wrap("float32", out, [to - from, text.vocabSize]))
      .run();
    logits.push(...out);
  }
  binding[Symbol.dispose]();
  return logits;
}

export async function withWeights(
  parts: Parts,
  use: (folder: string, weights: readonly Weight[], graph: Graph) => Promise<void>,
  computeType: ComputeType = "float32",
): Promise<void> {
  const { graph, shapes } = trainingGraph(parts, computeType);
  const weights = randomWeights(shapes);
  const folder = await mkdtemp(path.join(tmpdir(), "llava-lowerings-"));
  try {
    const tensors = weights.map((weight) => ({ ...weight, dtype: "F32" as const }));
    await writeSafetensors(path.join(folder, "model.safetensors"), tensors);
    await use(folder, weights, graph);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
