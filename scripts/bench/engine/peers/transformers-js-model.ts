/**
 * Writes the language model of a model folder the way `@huggingface/transformers` wants it: an ONNX graph with a cache
 * that grows by one token a run. Hub models of this kind are compiled by Python tools; this one has our operators and
 * 4-bit blocks, with which the library is at its best (the tools' default leaves accuracy_level 0, many times slower).
 */
import { link, mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { languageModel } from "@llava/models";
import { type ModelDescription, openModelFolder } from "@llava/models";
import { cast, Graph, reshape, type Tensor } from "@llava/onnx";
import { ServingOperations } from "../../../../packages/models/src/operations/serving/serving-operations.ts";
import { loadWeights, type PlacedWeights } from "../../../../packages/engine/src/weights/weights.ts";

type Text = ModelDescription["text"];

/** The file that the library asks for when it is told dtype "q4". */
const GRAPH_FILE = "model_q4.onnx";
/** The library looks for this very word in the shapes of the cache's inputs. */
const BATCH = "batch_size";

/** Fills `folder`; the weights stay in the cache of quantized models, of which the folder gets a hard link. */
export async function writeTransformersJsModel(modelFolder: string, folder: string): Promise<void> {
  const { description, weights } = await openModelFolder(modelFolder);
  const { decoder } = await loadWeights(weights, description, { dtype: "int4" });
  const onnx = path.join(folder, "onnx");
  await rm(folder, { recursive: true, force: true });
  await mkdir(onnx, { recursive: true });
  const files = new Set<string>();
  const bytes = decoderForTransformersJs(description.text, decoder, files);
  for (const file of files) await link(file, path.join(onnx, path.relative(decoder.folder, file)));
  await writeFile(path.join(onnx, GRAPH_FILE), bytes);
  await writeFile(path.join(folder, "config.json"), JSON.stringify(configOf(description.text), null, 2));
}

/** `files` is told which files of weights the graph names; blocks lie in those that the norms lie in. */
function decoderForTransformersJs(text: Text, weights: PlacedWeights, files: Set<string>): Uint8Array {
  const graph = new Graph("decoder");
  const ids = graph.input("input_ids", "int64", [BATCH, "tokens"]);
  const mask = graph.input("attention_mask", "int64", [BATCH, "total"]);
  const logitRows = lastTokens(graph, ids);
  const past = [BATCH, text.kvHeads, "past", text.headSize];
  const inputs = (part: string): Tensor[] =>
    Array.from({ length: text.layers }, (_, i) =>
      graph.input(`past_key_values.${i}.${part}`, "float32", past),
    );
  const { source } = weights;
  const ops = new ServingOperations(
    graph,
    {
      folder: weights.folder,
      get: (name) => seen(source.get(name), files),
      blocks: (name) => source.blocks?.(name),
    },
    {
      cache: {
        lastPositions: lastPositions(graph, mask),
        totalLength: totalLength(graph, mask),
        keys: inputs("key"),
        values: inputs("value"),
        contextLength: text.contextLength,
        ropeTheta: text.ropeTheta,
      },
    },
  );
  const logits = languageModel(ops, text, { ids, logitRows });
  graph.output("logits", reshape(graph, logits, [BATCH, 1, text.vocabSize]));
  for (const [i, { key, value }] of ops.present.entries()) {
    graph.output(`present.${i}.key`, key);
    graph.output(`present.${i}.value`, value);
  }
  return graph.toBytes();
}

function seen<T extends { readonly file: string }>(stored: T, files: Set<string>): T {
  files.add(stored.file);
  return stored;
}

/** [batch] int64: rows of the flattened ids that hold the last token of each answer; no other logits are read. */
function lastTokens(graph: Graph, ids: Tensor): Tensor {
  const extents = graph.apply("Shape", [ids], { dtype: "int64", shape: [2] });
  const scalar = { dtype: "int64", shape: [] } as const;
  const tokens = graph.apply("Gather", [extents, int64(graph, 1)], scalar);
  const all = graph.apply("ReduceProd", [extents], scalar, { attributes: { keepdims: { int: 0 } } });
  const first = graph.apply("Sub", [tokens, int64(graph, 1)], scalar);
  return graph.apply("Range", [first, all, tokens], { dtype: "int64", shape: [BATCH] });
}

/** [batch] int32, as GroupQueryAttention wants it: the library says which positions hold tokens. */
function lastPositions(graph: Graph, mask: Tensor): Tensor {
  const spec = { dtype: "int64", shape: [BATCH] } as const;
  const lengths = graph.apply("ReduceSum", [mask, graph.ints([1])], spec, {
    attributes: { keepdims: { int: 0 } },
  });
  return cast(graph, graph.apply("Sub", [lengths, int64(graph, 1)], spec), "int32");
}

/** Scalar int32. */
function totalLength(graph: Graph, mask: Tensor): Tensor {
  const extents = graph.apply("Shape", [mask], { dtype: "int64", shape: [2] });
  const total = graph.apply("Gather", [extents, int64(graph, 1)], { dtype: "int64", shape: [] });
  return cast(graph, total, "int32");
}

function int64(graph: Graph, value: number): Tensor {
  return graph.constant("int64", [], BigInt64Array.of(BigInt(value)));
}

function configOf(text: Text): unknown {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: text.hiddenSize,
    intermediate_size: text.intermediateSize,
    num_hidden_layers: text.layers,
    num_attention_heads: text.heads,
    num_key_value_heads: text.kvHeads,
    head_dim: text.headSize,
    vocab_size: text.vocabSize,
    max_position_embeddings: text.contextLength,
    bos_token_id: text.bosTokenId,
    eos_token_id: text.eosTokenIds[0],
  };
}
