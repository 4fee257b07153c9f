import { describe, expect, it } from "vitest";
import * as onnx from "../index.ts";
import { Graph, GraphError } from "../index.ts";

const graph = (): Graph => new Graph("test");

function valuesOf(g: Graph, constant: onnx.Tensor | undefined): number[] {
  const content = g.initializers.find(({ tensor }) => tensor === constant)?.content;
  return content && "data" in content ? Array.from(content.data, Number) : [];
}

describe("names", () => {
  it("are taken once", () => {
    const g = graph();
    g.input("x", "float32", [2]);
    expect(() => g.input("x", "int64", [1])).toThrow(new GraphError("The name x is taken in graph test."));
    const external = { location: "model.safetensors", offset: 0, length: 8 };
    expect(() => g.external("x", "float32", [2], external)).toThrow("The name x is taken");
  });

  it("are given afresh to constants and results, also where an input has such a name", () => {
    const g = graph();
    const x = g.input("x", "float32", [2]);
    const names = [onnx.exp(g, x), onnx.exp(g, x), g.constant("float32", [2], Float32Array.of(1, 2))].map(
      ({ name }) => name,
    );
    expect(new Set(["x", ...names]).size).toBe(4);
  });

  it("of inputs must be of the same graph", () => {
    const foreign = new Graph("other").input("foreign", "float32", [2]);
    const refusal = "Exp reads foreign: float32[2], which is not of graph test.";
    expect(() => onnx.exp(graph(), foreign)).toThrow(refusal);
    const g = graph();
    g.input("foreign", "float32", [2]);
    expect(() => onnx.exp(g, foreign)).toThrow(refusal);
  });
});

describe("outputs", () => {
  it("rename the node's result, everywhere it is read", () => {
    const g = graph();
    const y = onnx.exp(g, g.input("x", "float32", [2]));
    g.output("y", y);
    g.output("z", onnx.neg(g, y));
    expect(g.nodes.map(({ op }) => op)).toEqual(["Exp", "Neg"]);
    expect(g.outputs.map(({ name, tensor }) => [name, tensor === y])).toEqual([
      ["y", true],
      ["z", false],
    ]);
  });

  it("copy what cannot be renamed: inputs, constants, and a result with two names", () => {
    const g = graph();
    const x = g.input("x", "float32", []);
    const y = onnx.exp(g, x);
    g.output("same", x);
    g.output("one", g.scalar(1));
    g.output("y", y);
    g.output("again", y);
    expect(g.nodes.map(({ op }) => op)).toEqual(["Exp", "Identity", "Identity", "Identity"]);
  });

  it("have names of their own", () => {
    const g = graph();
    const x = g.input("x", "float32", [2]);
    g.output("y", onnx.exp(g, x));
    expect(() => g.output("y", onnx.neg(g, x))).toThrow("Output y is there twice.");
    expect(() => g.output("x", onnx.neg(g, x))).toThrow("The name x is taken in graph test.");
  });
});

describe("constants", () => {
  it("with equal content are one initializer, when they are small", () => {
    const g = graph();
    expect(g.scalar(0.5)).toBe(g.scalar(0.5));
    expect(g.ints([1, -1])).toBe(g.ints([1, -1]));
    expect(g.scalar(2)).not.toBe(g.scalar(3));
    expect(g.constant("float32", [2, 1], Float32Array.of(1, 2))).not.toBe(
      g.constant("float32", [1, 2], Float32Array.of(1, 2)),
    );
    expect(g.constant("int32", [1], Int32Array.of(1))).not.toBe(g.ints([1]));
    expect(Object.is(valuesOf(g, g.scalar(0))[0], 0)).toBe(true);
    expect(Object.is(valuesOf(g, g.scalar(-0))[0], -0)).toBe(true);
    const zeros = new Float32Array(17);
    expect(g.constant("float32", [17], zeros)).not.toBe(g.constant("float32", [17], zeros));
    expect(g.initializers).toHaveLength(12);
  });

  it("must have as many elements as their shape, in the array of their type", () => {
    const g = graph();
    expect(() => g.constant("float32", [2, 3], new Float32Array(5))).toThrow(
      "A constant of shape [2, 3] needs 6 elements, got 5.",
    );
    expect(() => g.constant("float16", [2], new Float32Array(2))).toThrow(
      "A constant of float16 needs a Uint16Array, got a Float32Array.",
    );
    expect(() => g.constant("int64", [1], Int32Array.of(1))).toThrow(
      "A constant of int64 needs a BigInt64Array, got a Int32Array.",
    );
  });
});

describe("element types", () => {
  it("must be equal in elementwise operators", () => {
    const g = graph();
    const x = g.input("x", "float32", [2]);
    const half = g.input("half", "float16", [2]);
    expect(() => onnx.add(g, x, half)).toThrow("Add of float32 and float16: cast one of them.");
    expect(() => onnx.matMul(g, g.input("m", "float32", [2, 2]), g.input("n", "float16", [2, 2]))).toThrow(
      "matMul: m: float32[2, 2] and n: float16[2, 2] do not fit.",
    );
  });

  it("of conditions and indices are checked", () => {
    const g = graph();
    const x = g.input("x", "float32", [2, 2]);
    expect(() => onnx.where(g, x, x, x)).toThrow("x: float32[2, 2] must be bool here.");
    expect(() => onnx.gatherRows(g, x, x)).toThrow("x: float32[2, 2] must be int64 here.");
    const half = g.input("half", "float16", [2, 2]);
    expect(() => onnx.greaterOrEqual(g, x, half)).toThrow("GreaterOrEqual of float32 and float16");
    const yes = onnx.greaterOrEqual(g, x, x);
    expect(() => onnx.where(g, yes, x, half)).toThrow("Where of float32 and float16: cast one of them.");
    const labels = g.input("labels", "int64", [2]);
    expect(() => onnx.crossEntropy(g, yes, labels, x)).toThrow(
      "must be float32 or float16 or bfloat16 here.",
    );
  });
});

describe("shapes", () => {
  const g = graph();
  const x = g.input("x", "float32", [2, 3, 4]);
  const batch = g.input("b", "float32", ["batch", 3, 4]);
  const wider = g.input("wider", "float32", [2, 2, 4]);
  const yes = g.input("yes", "bool", [1]);
  const four = g.input("four", "bool", [4, 1, 1, 1]);
  const logits = g.input("logits", "float32", [3, 4]);
  const weights = g.input("weights", "float32", [3]);

  it("broadcast like NumPy's", () => {
    expect(onnx.add(g, x, g.input("row", "float32", [4])).shape).toEqual([2, 3, 4]);
    expect(onnx.mul(g, x, g.input("column", "float32", [2, 1, 1])).shape).toEqual([2, 3, 4]);
    expect(onnx.add(g, g.input("c", "float32", [3, 1]), g.input("r", "float32", [1, 5])).shape).toEqual([
      3, 5,
    ]);
    expect(() => onnx.add(g, x, g.input("short", "float32", [3]))).toThrow(
      "x: float32[2, 3, 4] and short: float32[3] do not broadcast: 4 against 3.",
    );
  });

  it.each([
    ["reshape", () => onnx.reshape(g, x, [5, 5]), "x: float32[2, 3, 4] cannot be reshaped to [5, 5]."],
    [
      "reshape",
      () => onnx.reshape(g, batch, [3, 5, "batch"]),
      "batch, 3, 4] cannot be reshaped to [3, 5, batch].",
    ],
    ["transpose", () => onnx.transpose(g, x, [1, 0]), "x: float32[2, 3, 4] must have 2 axes here."],
    [
      "transpose",
      () => onnx.transpose(g, x, [1, 0, 1]),
      "[1, 0, 1] is no order of the axes of x: float32[2, 3, 4].",
    ],
    ["expand", () => onnx.expand(g, x, [2, 6, 4]), "x: float32[2, 3, 4] cannot be expanded to [2, 6, 4]."],
    ["expand", () => onnx.expand(g, x, [5, 2, 3, 4]), "x: float32[2, 3, 4] must have 4 axes here."],
    [
      "crossEntropy",
      () => onnx.crossEntropy(g, logits, g.ints([0, 1]), weights),
      "int64[2] cannot be reshaped to [3, 1].",
    ],
    [
      "an extent",
      () => g.input("half", "float32", [2.5]),
      "half cannot have the shape [2.5]: 2.5 is no extent.",
    ],
    ["an extent", () => onnx.split(g, x, [-1, 4], 1), "cannot have the shape [2, -1, 4]: -1 is no extent."],
    ["concat", () => onnx.concat(g, [x, wider], 2), "does not fit x: float32[2, 3, 4]"],
    ["concat of nothing", () => onnx.concat(g, [], 0), "concat() of nothing."],
    ["split", () => onnx.split(g, x, [2, 2], 1), "x: float32[2, 3, 4] cannot be split into 2+2."],
    ["slice", () => onnx.slice(g, x, 1, 5, 1), "x: float32[2, 3, 4] has no elements 1 … 5 along axis 1."],
    ["axis", () => onnx.reduceSum(g, x, [3]), "x: float32[2, 3, 4] has no axis 3."],
    ["where", () => onnx.where(g, yes, x, batch), "got [2, 3, 4] and [batch, 3, 4] under a condition [1]."],
    ["where", () => onnx.where(g, four, x, x), "under a condition [4, 1, 1, 1]."],
    ["matMul", () => onnx.matMul(g, x, x), "matMul: x: float32[2, 3, 4] and x: float32[2, 3, 4] do not fit."],
    ["gatherRows", () => onnx.gatherRows(g, x, g.ints([0])), "x: float32[2, 3, 4] must have 2 axes here."],
    ["pad", () => onnx.pad(g, batch, 1, 0, 0), "b: float32[batch, 3, 4] needs a static extent at axis 0."],
    ["pad", () => onnx.pad(g, x, 0, -1, 0), "x: float32[2, 3, 4] cannot be padded by 0 and -1 along axis 0."],
  ])("%s is refused with a sentence", (_name, build, sentence) => {
    expect(build).toThrow(GraphError);
    expect(build).toThrow(sentence);
  });
});

describe("nothing to do is no operator", () => {
  it.each<[string, (g: Graph, x: onnx.Tensor) => onnx.Tensor]>([
    ["reshape", (g, x) => onnx.reshape(g, x, [2, 3])],
    ["expand", (g, x) => onnx.expand(g, x, [2, 3])],
    ["reduceSum over no axes", (g, x) => onnx.reduceSum(g, x, [])],
    ["cast", (g, x) => onnx.cast(g, x, "float32")],
  ])("%s", (_name, build) => {
    const g = graph();
    const x = g.input("x", "float32", [2, 3]);
    expect(build(g, x)).toBe(x);
    expect(g.nodes).toEqual([]);
  });
});

describe("symbolic extents", () => {
  it("pass through operators and stay equal to themselves only", () => {
    const g = graph();
    const x = g.input("x", "float32", ["batch", "tokens", 8]);
    expect(onnx.add(g, x, g.input("row", "float32", [8])).shape).toEqual(["batch", "tokens", 8]);
    expect(onnx.matMul(g, x, g.input("w", "float32", [8, 5])).shape).toEqual(["batch", "tokens", 5]);
    expect(onnx.transpose(g, x, [1, 0, 2]).shape).toEqual(["tokens", "batch", 8]);
    expect(onnx.concat(g, [x, g.input("y", "float32", ["batch", "more", 8])], 1).shape[1]).toBe(
      "tokens+more",
    );
    const other = g.input("other", "float32", ["rows", "tokens", 8]);
    expect(() => onnx.add(g, x, other)).toThrow("do not broadcast: batch against rows.");
  });

  it("are kept by a reshape where they stand, and one may move", () => {
    const g = graph();
    const x = g.input("x", "float32", ["batch", 6, "tokens"]);
    const target = (shape: onnx.Shape): readonly number[] => {
      onnx.reshape(g, x, shape);
      return valuesOf(g, g.initializers.at(-1)?.tensor);
    };
    expect(target(["batch", 2, 3, "tokens"])).toEqual([0, 2, 3, -1]);
    expect(target(["batch", 6, 1, "tokens"])).toEqual([0, 6, 1, -1]);
    expect(() => onnx.reshape(g, x, ["tokens", "batch", 6])).toThrow("more than one symbolic extent moved.");
  });

  it("are refused where a number is needed", () => {
    const g = graph();
    const x = g.input("x", "float32", [2, "tokens"]);
    expect(() => onnx.meanLast(g, x)).toThrow(
      "x: float32[2, tokens] needs a static shape here, but tokens is symbolic.",
    );
  });
});
