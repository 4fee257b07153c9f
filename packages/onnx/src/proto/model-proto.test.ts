import { describe, expect, it } from "vitest";
import { ModelProto } from "../../test/schema.ts";
import { type Attribute, cast, exp, Graph, matMul, neg } from "../index.ts";

/** Our bytes as a protobuf library reads them, as plain JSON. */
const decode = (g: Graph): Record<string, unknown> =>
  ModelProto.toObject(ModelProto.decode(g.toBytes()), { longs: Number, bytes: Array });

/** One of everything that a graph of ours can hold. */
function sample(): Graph {
  const g = new Graph("sample");
  const x = g.input("x", "float32", ["batch", 4]);
  const external = { location: "model.safetensors", offset: 5_000_000_000, length: 32 };
  const weight = g.external("layer.weight", "float16", [4, 4], external);
  const table = g.constant("int64", [3], BigInt64Array.of(-1n, 0n, 2n ** 40n));
  const attributes: Record<string, Attribute> = {
    axis: { int: -1 },
    epsilon: { float: 0.5 },
    reduction: { string: "add" },
    perm: { ints: [1, 0, -3] },
  };
  const specs = [
    { dtype: "bool", shape: [] },
    { dtype: "bfloat16", shape: [2, "rows"] },
  ] as const;
  const [first, second] = g.node("Sample", [x, null, weight, table], specs, {
    domain: "com.microsoft",
    attributes,
  });
  if (!first || !second) throw new Error("two outputs");
  g.output("first", first);
  g.output("second", g.apply("Cast", [second], second));
  return g;
}

describe("the bytes of a graph", () => {
  it("are what a protobuf library reads and writes again, byte for byte", () => {
    const bytes = sample().toBytes();
    const again = ModelProto.encode(ModelProto.decode(bytes)).finish();
    expect(Buffer.compare(bytes, again)).toBe(0);
  });

  it("say which operator sets they need", () => {
    expect(decode(new Graph("empty"))).toEqual({
      ir_version: 10,
      producer_name: "llava",
      graph: { name: "empty" },
      opset_import: [
        { domain: "", version: 21 },
        { domain: "com.microsoft", version: 1 },
      ],
    });
  });

  it("hold nodes with every kind of attribute, and leave optional inputs empty", () => {
    expect(decode(sample())).toMatchObject({
      graph: {
        node: [
          {
            op_type: "Sample",
            domain: "com.microsoft",
            input: ["x", "", "layer.weight", "const_1"],
            output: ["first", "Sample_3"],
            attribute: [
              { name: "axis", i: -1, type: 2 },
              { name: "epsilon", f: 0.5, type: 1 },
              { name: "reduction", s: [...Buffer.from("add")], type: 3 },
              { name: "perm", ints: [1, 0, -3], type: 7 },
            ],
          },
          { op_type: "Cast", input: ["Sample_3"], output: ["second"] },
        ],
      },
    });
  });

  it("hold constants as they are and weights as places in a file", () => {
    expect(decode(sample())).toMatchObject({
      graph: {
        initializer: [
          {
            name: "layer.weight",
            data_type: 10,
            dims: [4, 4],
            data_location: 1,
            external_data: [
              { key: "location", value: "model.safetensors" },
              { key: "offset", value: "5000000000" },
              { key: "length", value: "32" },
            ],
          },
          {
            name: "const_1",
            data_type: 7,
            dims: [3],
            raw_data: [...new Uint8Array(BigInt64Array.of(-1n, 0n, 2n ** 40n).buffer)],
          },
        ],
      },
    });
  });

  it("name inputs and outputs with type and shape, known or symbolic; a scalar has no extents", () => {
    const tensor = (elementType: number, dim?: unknown): unknown => ({
      tensor_type: { elem_type: elementType, shape: dim === undefined ? {} : { dim } },
    });
    expect(decode(sample())).toMatchObject({
      graph: {
        input: [{ name: "x", type: tensor(1, [{ dim_param: "batch" }, { dim_value: 4 }]) }],
        output: [
          { name: "first", type: tensor(9) },
          { name: "second", type: tensor(16, [{ dim_value: 2 }, { dim_param: "rows" }]) },
        ],
      },
    });
  });

  it("call a renamed result by its new name where it is read", () => {
    const g = new Graph("renamed");
    const y = exp(g, g.input("x", "float32", [2]));
    g.output("y", y);
    g.output("z", neg(g, y));
    expect(decode(g)).toMatchObject({
      graph: {
        node: [
          { input: ["x"], output: ["y"] },
          { input: ["y"], output: ["z"] },
        ],
      },
    });
  });

  it("take a constant from the middle of a larger buffer", () => {
    const g = new Graph("view");
    const values = Float32Array.of(1, 2, 3, 4, 5, 6);
    const weight = g.constant("float32", [2, 2], values.subarray(1, 5));
    g.output("y", matMul(g, g.input("x", "float32", [1, 2]), weight));
    expect(decode(g)).toMatchObject({
      graph: { initializer: [{ raw_data: [...new Uint8Array(Float32Array.of(2, 3, 4, 5).buffer)] }] },
    });
  });
});

describe("a weight that may be overridden", () => {
  /** Two products with weights that are widened where they are used. */
  function halves(): Graph {
    const g = new Graph("halves");
    let x = g.input("x", "float32", ["batch", 4]);
    for (const name of ["first", "second"]) {
      const external = { location: "model.safetensors", offset: 64, length: 32 };
      const half = g.external(name, "float16", [4, 4], external, { isOverridable: true });
      x = matMul(g, x, cast(g, half, "float32", { emitFirst: true }));
    }
    g.output("y", x);
    return g;
  }

  it("is an initializer and, after what must be fed, an input", () => {
    expect(decode(halves())).toMatchObject({
      graph: {
        initializer: [{ name: "first" }, { name: "second" }],
        input: [{ name: "x" }, { name: "first" }, { name: "second" }],
      },
    });
  });

  it("is widened by a node that stands before all that need it, the last weight's first", () => {
    const { nodes } = halves();
    expect(nodes.map(({ op, inputs }) => `${op} ${inputs[0]?.name}`).slice(0, 3)).toEqual([
      "Cast second",
      "Cast first",
      "MatMul x",
    ]);
  });
});
