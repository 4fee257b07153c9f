/** Builds the graphs that serve a LLaVA model, and names their inputs and outputs. */
import type { ModelDescription } from "../../description/model-description.ts";
import { cast, Graph, type Tensor } from "@llava/onnx";
import type { ComputeType } from "../compute-type.ts";
import { type CacheInputs, ServingOperations } from "./serving-operations.ts";
import { languageModel, projector, visionTower } from "../../registry/family-registry.ts";
import type { WeightSource } from "./weight-source.ts";

/** pixels [batch, 3, size, size] float32 → features [batch, tokens, hidden] of the compute type. */
export const ENCODER_IO = { pixels: "pixels", features: "features" } as const;

/**
 * ids and featureRows [batch, tokens] int64, features [n, hidden] of the compute type, logitRows [m] int64, lastPositions
 * [batch] int32, totalLength scalar int32, and per layer key and value [batch, kvHeads, capacity, headSize] of the compute
 * type → logits [m, vocabulary] float32 and the caches, which may be the same memory as the inputs.
 */
export const DECODER_IO = {
  ids: "input_ids",
  features: "features",
  featureRows: "feature_rows",
  logitRows: "logit_rows",
  lastPositions: "last_positions",
  totalLength: "total_length",
  pastKey: (layer: number) => `past.${layer}.key`,
  pastValue: (layer: number) => `past.${layer}.value`,
  presentKey: (layer: number) => `present.${layer}.key`,
  presentValue: (layer: number) => `present.${layer}.value`,
  logits: "logits",
} as const;

/** source [slots, kvHeads, capacity, headSize] of the compute type, pads [8] int64 as ONNX's Pad takes them → target. */
export const CACHE_COPY_IO = { source: "source", pads: "pads", target: "target" } as const;

/** Vision tower and projector in one graph: what an image costs once. */
export function encoderGraph(...args: Parameters<typeof buildEncoder>): Uint8Array {
  return buildEncoder(...args).toBytes();
}

/** The graph of `encoderGraph`, not yet serialized. */
export function buildEncoder(
  model: Pick<ModelDescription, "vision" | "projector">,
  weights: WeightSource,
  computeType: ComputeType = "float32",
): Graph {
  const { imageSize } = model.vision;
  const graph = new Graph("vision-encoder");
  const ops = new ServingOperations(graph, weights, { computeType });
  const pixels = graph.input(ENCODER_IO.pixels, "float32", ["batch", 3, imageSize, imageSize]);
  graph.output(ENCODER_IO.features, projector(ops, model.projector, visionTower(ops, model.vision, pixels)));
  return graph;
}

/** The language model over a KV cache: one graph for prompt chunks (batch 1) and for decoding (one token a slot). */
export function decoderGraph(...args: Parameters<typeof buildDecoder>): Uint8Array {
  return buildDecoder(...args).toBytes();
}

/** The graph of `decoderGraph`, not yet serialized. */
export function buildDecoder(
  { text }: Pick<ModelDescription, "text">,
  weights: WeightSource,
  computeType: ComputeType = "float32",
): Graph {
  const graph = new Graph("decoder");
  const ids = graph.input(DECODER_IO.ids, "int64", ["batch", "tokens"]);
  const features = graph.input(DECODER_IO.features, computeType, ["features", text.hiddenSize]);
  const featureRows = graph.input(DECODER_IO.featureRows, "int64", ["batch", "tokens"]);
  const logitRows = graph.input(DECODER_IO.logitRows, "int64", ["logits"]);
  const cache = cacheInputs(graph, text, computeType);
  const ops = new ServingOperations(graph, weights, { computeType, cache });
  const logits = languageModel(ops, text, { ids, image: { features, featureRows }, logitRows });
  graph.output(DECODER_IO.logits, cast(graph, logits, "float32"));
  ops.present.forEach(({ key, value }, layer) => {
    graph.output(DECODER_IO.presentKey(layer), key);
    graph.output(DECODER_IO.presentValue(layer), value);
  });
  return graph;
}

/** Copies a buffer of the KV cache on its device, with more or fewer slots and positions. */
export function cacheCopyGraph(
  text: Pick<ModelDescription["text"], "kvHeads" | "headSize">,
  computeType: ComputeType = "float32",
): Uint8Array {
  const { kvHeads, headSize } = text;
  const graph = new Graph("cache-copy");
  const source = graph.input(CACHE_COPY_IO.source, computeType, ["slots", kvHeads, "capacity", headSize]);
  const pads = graph.input(CACHE_COPY_IO.pads, "int64", [8]);
  const shape = ["new_slots", kvHeads, "new_capacity", headSize];
  graph.output(CACHE_COPY_IO.target, graph.apply("Pad", [source, pads], { dtype: computeType, shape }));
  return graph.toBytes();
}

function cacheInputs(graph: Graph, text: ModelDescription["text"], computeType: ComputeType): CacheInputs {
  const shape = ["batch", text.kvHeads, "capacity", text.headSize];
  const perLayer = (name: (layer: number) => string): Tensor[] =>
    Array.from({ length: text.layers }, (_, layer) => graph.input(name(layer), computeType, shape));
  return {
    lastPositions: graph.input(DECODER_IO.lastPositions, "int32", ["batch"]),
    totalLength: graph.input(DECODER_IO.totalLength, "int32", []),
    keys: perLayer(DECODER_IO.pastKey),
    values: perLayer(DECODER_IO.pastValue),
    contextLength: text.contextLength,
    ropeTheta: text.ropeTheta,
  };
}
