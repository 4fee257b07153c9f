/**
 * Our protobuf writer against a library, on the graph of a 7B Llama decoder: size, time, what has to be installed.
 * Run it with `npm run bench:graph`; the decision that follows is in packages/onnx/src/proto/protobuf.ts.
 */
import { globSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { decoderGraph, type WeightSource } from "@llava/models";
import { Graph } from "@llava/onnx";
import { encodeModel } from "../../packages/onnx/src/proto/model-proto.ts";
import { ModelProto } from "../../packages/onnx/test/schema.ts";

/** Llama 2 7B with LLaVA 1.5's vocabulary, of llava-hf/llava-1.5-7b-hf's config.json. */
const TEXT: Parameters<typeof decoderGraph>[0]["text"] = {
  family: "llama",
  hiddenSize: 4096,
  intermediateSize: 11_008,
  layers: 32,
  heads: 32,
  kvHeads: 32,
  headSize: 128,
  ropeTheta: 10_000,
  rmsNormEps: 1e-5,
  vocabSize: 32_064,
  tiedEmbeddings: false,
  contextLength: 4096,
  bosTokenId: 1,
  eosTokenIds: [2],
};
const ROUNDS = 15;

const { graph, bytes } = captured();
const message = ModelProto.decode(bytes);
const ready = ModelProto.toObject(message);
const same = Buffer.compare(ModelProto.encode(message).finish(), bytes) === 0;
const constants = graph.initializers.reduce(
  (sum, { content }) => sum + ("data" in content ? content.data.byteLength : 0),
  0,
);

console.log(
  `${TEXT.layers} layers: ${graph.nodes.length} nodes, ${graph.initializers.length} initializers, ` +
    `${bytes.length} bytes, of which ${constants} are rotary tables and other constants.`,
);
console.log(`protobufjs writes ${same ? "the same bytes" : "OTHER BYTES"}. Medians of ${ROUNDS} rounds:`);
console.table({
  "graph and our writer": { ms: medianMs(() => decoderGraph({ text: TEXT }, weights())) },
  "our writer": {
    ms: medianMs(() => graph.toBytes()),
    "installed KiB": installed("packages/onnx/src/proto", "protobuf.ts"),
  },
  "protobufjs, from its own messages": {
    ms: medianMs(() => ModelProto.encode(message).finish()),
    "installed KiB": installed("node_modules/protobufjs", "**/*"),
  },
  "protobufjs, from plain objects": {
    ms: medianMs(() => ModelProto.encode(ModelProto.fromObject(ready)).finish()),
  },
});

/** The decoder's graph before it is written: decoderGraph hands out bytes, so its one call of toBytes is listened to. */
function captured(): { graph: Graph; bytes: Uint8Array } {
  const seen: Graph[] = [];
  const write = Object.getOwnPropertyDescriptor(Graph.prototype, "toBytes");
  Graph.prototype.toBytes = function (this: Graph): Uint8Array {
    seen.push(this);
    return encodeModel(this);
  };
  const bytes = decoderGraph({ text: TEXT }, weights());
  if (write) Object.defineProperty(Graph.prototype, "toBytes", write);
  const [graph] = seen;
  if (!graph) throw new Error("decoderGraph wrote no graph.");
  return { graph, bytes };
}

/** Says where a weight would lie, with the shape that its name asks for; no file is there. */
function weights(): WeightSource {
  const { hiddenSize, intermediateSize, vocabSize } = TEXT;
  const shapeOf = (name: string): number[] => {
    if (/embed_tokens|lm_head/.test(name)) return [vocabSize, hiddenSize];
    if (name.includes("norm")) return [hiddenSize];
    if (/gate_proj|up_proj/.test(name)) return [intermediateSize, hiddenSize];
    return name.includes("down_proj") ? [hiddenSize, intermediateSize] : [hiddenSize, hiddenSize];
  };
  return {
    get: (name) => ({
      dtype: "F16",
      shape: shapeOf(name),
      file: "model.safetensors",
      offset: 4096,
      length: 2 * shapeOf(name).reduce((a, b) => a * b),
    }),
  };
}

function medianMs(run: () => unknown): number {
  const times = Array.from({ length: ROUNDS }, () => {
    const startedAt = performance.now();
    run();
    return performance.now() - startedAt;
  }).toSorted((a, b) => a - b);
  return Number((times[ROUNDS >> 1] ?? 0).toFixed(1));
}

function installed(folder: string, pattern: string): number {
  const root = join(dirname(fileURLToPath(import.meta.url)), "../..", folder);
  const files = globSync(pattern, { cwd: root }).map((file) => statSync(join(root, file)));
  if (files.length === 0) throw new Error(`${folder} has no file ${pattern}.`);
  return Math.round(files.filter((file) => file.isFile()).reduce((sum, { size }) => sum + size, 0) / 1024);
}
