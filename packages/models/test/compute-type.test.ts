/** Checks the element types of the serving graphs: in half precision no matrix product and no attention is in float32. */
import { Checkpoint } from "@llava/checkpoint";
import { DATA_TYPE, type DType, type Graph, type GraphNode, type Tensor } from "@llava/onnx";
import { describe, expect, it } from "vitest";
import {
  buildDecoder,
  buildEncoder,
  type ComputeType,
  type QuantizedLinear,
  type StoredTensor,
  type WeightSource,
} from "../src/index.ts";
import { CASES, partsOf, withWeights } from "./tiny-llava.ts";

const HALF_TYPES = ["float16", "bfloat16"] as const;

/** Operators that multiply matrices or attend. */
const PRODUCTS = [
  "Conv",
  "FusedMatMul",
  "Gemm",
  "GroupQueryAttention",
  "MatMul",
  "MatMulNBits",
  "MultiHeadAttention",
];

/** The types of a node's outputs by ONNX's and ONNX Runtime's schemas, whatever the graph declares. */
function schemaTypes(
  { op, attributes }: GraphNode,
  inputs: readonly DType[],
): readonly (string | undefined)[] {
  const [first, second, , fourth, fifth] = inputs;
  switch (op) {
    case "Cast": {
      const to = attributes["to"];
      const number = to && "int" in to ? to.int : undefined;
      return [Object.entries(DATA_TYPE).find(([, value]) => value === number)?.[0]];
    }
    case "GreaterOrEqual":
      return ["bool"];
    case "Where":
      return [second];
    case "GroupQueryAttention":
      return [first, fourth, fifth];
    case "SkipSimplifiedLayerNormalization":
      return [first, "float32", "float32", first];
    default:
      return [first];
  }
}

/** Nodes that read or write float32 among `ops`, after a check that the declared types are those of the schemas. */
function float32Nodes(graph: Graph, ops: readonly string[]): GraphNode[] {
  const types = new Map<Tensor, DType>();
  for (const tensor of [...graph.inputs, ...graph.initializers.map((each) => each.tensor)])
    types.set(tensor, tensor.dtype);
  const typeOf = (tensor: Tensor): DType => types.get(tensor) ?? expect.fail(`${tensor.name} has no type.`);
  return graph.nodes.filter((node) => {
    const inputs = node.inputs.filter((input) => input !== null).map(typeOf);
    const outputs = schemaTypes(node, inputs);
    for (const [i, output] of node.outputs.entries()) {
      expect([node.op, outputs[i]]).toEqual([node.op, output.dtype]);
      types.set(output, output.dtype);
    }
    return ops.includes(node.op) && [...inputs, ...outputs].includes("float32");
  });
}

async function withSource(
  shape: (typeof CASES)[number][1],
  use: (parts: ReturnType<typeof partsOf>, source: WeightSource) => void,
): Promise<void> {
  const parts = partsOf(shape);
  await withWeights(parts, async (folder) => use(parts, await Checkpoint.open(folder)));
}

function graphsOf(
  parts: ReturnType<typeof partsOf>,
  source: WeightSource,
  computeType: ComputeType,
): readonly [Graph, Graph] {
  return [buildEncoder(parts, source, computeType), buildDecoder(parts, source, computeType)];
}

/** The same source with every matrix in blocks of 32; the bytes are never read. */
function inBlocks(source: WeightSource): WeightSource {
  return {
    get: (name) => source.get(name),
    blocks(name): QuantizedLinear {
      const matrix = source.get(name);
      const [rows = 1, columns = 1] = matrix.shape;
      const perRow = Math.ceil(columns / 32);
      const part = (shape: readonly number[]): StoredTensor => ({ ...matrix, shape });
      return { bits: 4, blockSize: 32, data: part([rows, perRow, 16]), scales: part([rows * perRow]) };
    },
  };
}

describe.each(HALF_TYPES)("a graph in %s", (computeType) => {
  it.each(CASES)("has no matrix product and no attention in float32: %s", async (_, shape) => {
    await withSource(shape, (parts, source) => {
      for (const graph of graphsOf(parts, source, computeType))
        expect(float32Nodes(graph, PRODUCTS).map(({ op }) => op)).toEqual([]);
    });
  });

  it("has none in blocks either: activations and scales are of the compute type", async () => {
    await withSource(CASES[0][1], (parts, source) => {
      for (const graph of graphsOf(parts, inBlocks(source), computeType)) {
        expect(float32Nodes(graph, PRODUCTS)).toEqual([]);
        const products = graph.nodes.filter(({ op }) => op === "MatMulNBits");
        expect(products.length).toBeGreaterThan(5);
        for (const { inputs } of products)
          expect(inputs.map((input) => input?.dtype)).toEqual([computeType, "uint8", computeType]);
      }
    });
  });

  it("has none where weights are cast per run", async () => {
    await withSource(CASES[0][1], (parts, source) => {
      const perRun = { get: (name: string) => source.get(name), castWeights: "per-run" } as const;
      for (const graph of graphsOf(parts, perRun, computeType))
        expect(float32Nodes(graph, PRODUCTS).map(({ op }) => op)).toEqual([]);
    });
  });

  it("takes float32 pixels, gives float32 logits, and all else that is a float has the compute type", async () => {
    await withSource(CASES[0][1], (parts, source) => {
      const [encoder, decoder] = graphsOf(parts, source, computeType);
      expect(encoder.inputs.map(({ dtype }) => dtype)).toEqual(["float32"]);
      expect(encoder.outputs.map(({ tensor }) => tensor.dtype)).toEqual([computeType]);
      const floats = decoder.inputs.filter(({ dtype }) => !dtype.startsWith("int"));
      expect(floats.map(({ name, dtype }) => [name, dtype])).toEqual(
        ["features", "past.0.key", "past.1.key", "past.0.value", "past.1.value"].map((name) => [
          name,
          computeType,
        ]),
      );
      for (const { name, tensor } of decoder.outputs)
        expect([name, tensor.dtype]).toEqual([name, name === "logits" ? "float32" : computeType]);
      // What rounds norms and rotations must be of the compute type, too: CUDA's kernels take one type.
      const ops = ["SimplifiedLayerNormalization", "LayerNormalization", "QuickGelu", "Add", "Mul", "Where"];
      for (const graph of [encoder, decoder]) expect(float32Nodes(graph, ops)).toEqual([]);
    });
  });
});

it("a float32 graph has no cast of its own", async () => {
  await withSource(CASES[0][1], (parts, source) => {
    for (const graph of graphsOf(parts, source, "float32"))
      expect(graph.nodes.filter(({ op }) => op === "Cast")).toEqual([]);
  });
});
