/**
 * Our protobuf writer against a library, on the graph of a 7B Llama decoder: size, time, what has to be installed.
 * Run it with `node scripts/bench-graph.ts`; the decision that follows is in packages/onnx/src/protobuf.ts.
 */
import { globSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { decoderGraph, type WeightSource } from "@llava/architecture";
import { Graph } from "@llava/onnx";
import { ModelProto } from "../packages/onnx/test/schema.ts";

type Parts = Parameters<typeof decoderGraph>[0];

/** Llama 2 7B with LLaVA 1.5's vocabulary, of llava-hf/llava-1.5-7b-hf's config.json. */
const TEXT: Parts["text"] = {
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
  "graph and our writer": { ms: medianMs(() => decoderGraph({ text: TEXT } as Parts, weights())) },
  "our writer": {
    ms: medianMs(() => graph.toBytes()),
    "installed KiB": installed("packages/onnx/src", "protobuf.ts"),
  },
  "protobufjs, from its own messages": {
    ms: medianMs(() => ModelProto.encode(message).finish()),
    "installed KiB": installed("node_modules/protobufjs", "**/*"),
  },
  "protobufjs, from plain objects": {
    ms: medianMs(() => ModelProto.encode(ModelProto.fromObject(ready)).finish()),
  },
});
