/** The two graphs that serve a LLaVA model, and the names of their inputs and outputs. */
import type { ModelDescription } from "../../description/model-description.ts";
import { Graph, type Tensor } from "@llava/onnx";
import { type CacheInputs, ServingOperations } from "./serving-operations.ts";
import { languageModel, projector, visionTower } from "../../registry/family-registry.ts";
import type { WeightSource } from "./weight-source.ts";

/** pixels [batch, 3, size, size] float32 → features [batch, tokens, hidden] float32. */
export const ENCODER_IO = { pixels: "pixels", features: "features" } as const;

/**
 * ids and featureRows [batch, tokens] int64, features [n, hidden] float32, logitRows [m] int64, lastPositions [batch]
 * int32, totalLength scalar int32, and per layer key and value [batch, kvHeads, capacity, headSize] float32 →
 * logits [m, vocabulary] float32 and the caches, which may be the same memory as the inputs.
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

/** source [rows, kvHeads, capacity, headSize] float32, pads [8] int64 as ONNX's Pad takes them → target. */
export const CACHE_COPY_IO = { source: "source", pads: "pads", target: "target" } as const;

/** Vision tower and projector in one graph: what an image costs once. */
export function encoderGraph(
  model: Pick<ModelDescription, "vision" | "projector">,
  weights: WeightSource,
): Uint8Array {
  const { imageSize } = model.vision;
  const graph = new Graph("vision-encoder");
  const ops = new ServingOperations(graph, weights);
  const pixels = graph.input(ENCODER_IO.pixels, "float32", ["batch", 3, imageSize, imageSize]);
  graph.output(ENCODER_IO.features, projector(ops, model.projector, visionTower(ops, model.vision, pixels)));
  return graph.toBytes();
}

/** The language model over a KV cache: the same graph for prompt chunks (batch 1) and for decoding (one token a row). */
export function decoderGraph({ text }: Pick<ModelDescription, "text">, weights: WeightSource): Uint8Array {
  const graph = new Graph("decoder");
  const ids = graph.input(DECODER_IO.ids, "int64", ["batch", "tokens"]);
  const features = graph.input(DECODER_IO.features, "float32", ["features", text.hiddenSize]);
  const featureRows = graph.input(DECODER_IO.featureRows, "int64", ["batch", "tokens"]);
  const logitRows = graph.input(DECODER_IO.logitRows, "int64", ["logits"]);
  const cache = cacheInputs(graph, text);
  const ops = new ServingOperations(graph, weights, cache);
  const logits = languageModel(ops, text, { ids, image: { features, featureRows }, logitRows });
  graph.output(DECODER_IO.logits, logits);
  ops.present.forEach(({ key, value }, layer) => {
    graph.output(DECODER_IO.presentKey(layer), key);
    graph.output(DECODER_IO.presentValue(layer), value);
  });
  return graph.toBytes();
}

/** Copies a buffer of the KV cache on its device, with more or fewer rows and positions. */
export function cacheCopyGraph(text: Pick<ModelDescription["text"], "kvHeads" | "headSize">): Uint8Array {
  const { kvHeads, headSize } = text;
  const graph = new Graph("cache-copy");
  const source = graph.input(CACHE_COPY_IO.source, "float32", ["rows", kvHeads, "capacity", headSize]);
  const pads = graph.input(CACHE_COPY_IO.pads, "int64", [8]);
  const shape = ["new_rows", kvHeads, "new_capacity", headSize];
  graph.output(CACHE_COPY_IO.target, graph.apply("Pad", [source, pads], { dtype: "float32", shape }));
  return graph.toBytes();
}

function cacheInputs(graph: Graph, text: ModelDescription["text"]): CacheInputs {
  const shape = ["batch", text.kvHeads, "capacity", text.headSize];
  const perLayer = (name: (layer: number) => string): Tensor[] =>
    Array.from({ length: text.layers }, (_, layer) => graph.input(name(layer), "float32", shape));
  return {
    lastPositions: graph.input(DECODER_IO.lastPositions, "int32", ["batch"]),
    totalLength: graph.input(DECODER_IO.totalLength, "int32", []),
    keys: perLayer(DECODER_IO.pastKey),
    values: perLayer(DECODER_IO.pastValue),
    contextLength: text.contextLength,
    ropeTheta: text.ropeTheta,
  };
}
