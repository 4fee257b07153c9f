import { Session, Value } from "@llava/runtime";
import { describe, expect, it } from "vitest";
import * as onnx from "../src/index.ts";
import { elementCount, Graph, gradients, staticShape, sumAll, type Tensor } from "../src/index.ts";

/** Inputs by name → shape; the case builds its result from them and from constants of its own. */
interface Case {
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly build: (g: Graph, x: Readonly<Record<string, Tensor>>) => Tensor;
  /** Shifts and scales the standard normal inputs, to stay clear of poles. */
  readonly prepare?: (value: number) => number;
}

const int64 = (g: Graph, shape: readonly number[], values: readonly number[]): Tensor =>
  g.constant("int64", shape, BigInt64Array.from(values, BigInt));
const floats = (g: Graph, shape: readonly number[], values: readonly number[]): Tensor =>
  g.constant("float32", shape, Float32Array.from(values));
const pick = (x: Readonly<Record<string, Tensor>>, name: string): Tensor => {
  const tensor = x[name];
  if (!tensor) throw new Error(`no input ${name}`);
  return tensor;
};
const binary = (op: (g: Graph, a: Tensor, b: Tensor) => Tensor, a: number[], b: number[]): Case => ({
  inputs: { a, b },
  build: (g, x) => op(g, pick(x, "a"), pick(x, "b")),
});
const unary = (op: (g: Graph, x: Tensor) => Tensor, shape: number[] = [3, 4]): Case => ({
  inputs: { x: shape },
  build: (g, x) => op(g, pick(x, "x")),
});
const positive = (value: number): number => 1 + Math.abs(value);

const CASES: Readonly<Record<string, Case>> = {
  add: binary(onnx.add, [2, 3, 4], [2, 3, 4]),
  "add, bias": binary(onnx.add, [2, 3, 4], [4]),
  "add, broadcasting in the middle": binary(onnx.add, [2, 3, 4], [2, 1, 4]),
  "add, scalar": binary(onnx.add, [2, 3], []),
  "sub, broadcasting": binary(onnx.sub, [2, 3, 4], [3, 1]),
  "mul, broadcasting": binary(onnx.mul, [2, 3, 4], [2, 3, 1]),
  "mul, row": binary(onnx.mul, [5, 4], [4]),
  div: { ...binary(onnx.div, [3, 4], [3, 1]), prepare: positive },
  neg: unary(onnx.neg),
  scale: unary((g, x) => onnx.scale(g, x, -2.5)),
  exp: unary(onnx.exp),
  sqrt: { ...unary(onnx.sqrt), prepare: positive },
  "swish (SiLU)": unary(onnx.swish),
  "swish (QuickGELU)": unary((g, x) => onnx.swish(g, x, 1.702)),
  gelu: unary(onnx.gelu),
  softmax: unary(onnx.softmax, [2, 3, 5]),
  where: {
    inputs: { a: [2, 3], b: [2, 3] },
    build: (g, x) => {
      const condition = onnx.greaterOrEqual(g, floats(g, [2, 3], [1, -1, 1, -1, -1, 1]), g.scalar(0));
      return onnx.where(g, condition, pick(x, "a"), pick(x, "b"));
    },
  },
  "where, broadcasting the condition": {
    inputs: { a: [2, 3], b: [2, 3] },
    build: (g, x) => {
      const condition = onnx.greaterOrEqual(g, floats(g, [2, 1], [1, -1]), g.scalar(0));
      return onnx.where(g, condition, pick(x, "a"), pick(x, "b"));
    },
  },
  matMul: binary(onnx.matMul, [3, 4], [4, 5]),
  "matMul, linear layer": binary((g, a, b) => onnx.matMul(g, a, b, { transposeB: true }), [2, 3, 4], [5, 4]),
  "matMul, shared right matrix": binary(onnx.matMul, [2, 3, 4], [4, 5]),
  "matMul, attention scores": binary(
    (g, a, b) => onnx.matMul(g, a, b, { transposeB: true, alpha: 0.5 }),
    [2, 2, 3, 4],
    [2, 2, 5, 4],
  ),
  "matMul, left transposed": binary((g, a, b) => onnx.matMul(g, a, b, { transposeA: true }), [4, 3], [4, 5]),
  "matMul, both transposed": binary(
    (g, a, b) => onnx.matMul(g, a, b, { transposeA: true, transposeB: true, alpha: 2 }),
    [2, 4, 3],
    [2, 5, 4],
  ),
  "matMul, left transposed, shared right matrix": binary(
    (g, a, b) => onnx.matMul(g, a, b, { transposeA: true }),
    [2, 4, 3],
    [4, 5],
  ),
  "matMul, broadcasting both ways": binary(onnx.matMul, [2, 1, 3, 4], [3, 4, 2]),
  reshape: unary((g, x) => onnx.reshape(g, x, [2, 6])),
  transpose: unary((g, x) => onnx.transpose(g, x, [1, 2, 0]), [2, 3, 4]),
  concat: binary((g, a, b) => onnx.concat(g, [a, b, a], 1), [2, 3], [2, 1]),
  split: {
    inputs: { x: [2, 5] },
    build: (g, x) => {
      const [first, , last] = onnx.split(g, pick(x, "x"), [1, 2, 2], 1);
      if (!first || !last) throw new Error("three pieces");
      return onnx.mul(g, first, last);
    },
  },
  slice: unary((g, x) => onnx.slice(g, x, 1, 3, 1)),
  pad: unary((g, x) => onnx.pad(g, x, 1, 2, 1), [2, 3, 4]),
  expand: unary((g, x) => onnx.expand(g, x, [2, 4, 3]), [2, 1, 3]),
  "gatherRows, repeated rows": unary(
    (g, x) => onnx.gatherRows(g, x, int64(g, [2, 3], [0, 4, 4, 1, 4, 0])),
    [5, 3],
  ),
  reduceSum: unary((g, x) => onnx.reduceSum(g, x, [0, 2]), [2, 3, 4]),
  meanLast: unary(onnx.meanLast, [2, 3, 4]),
  sumAll: unary(onnx.sumAll),
  layerNorm: {
    inputs: { x: [2, 3, 6], w: [6], b: [6] },
    build: (g, x) => onnx.layerNorm(g, pick(x, "x"), pick(x, "w"), pick(x, "b"), 1e-5),
  },
  rmsNorm: {
    inputs: { x: [2, 3, 6], w: [6] },
    build: (g, x) => onnx.rmsNorm(g, pick(x, "x"), pick(x, "w"), 1e-5),
  },
  crossEntropy: {
    inputs: { x: [4, 5] },
    build: (g, x) =>
      onnx.crossEntropy(g, pick(x, "x"), int64(g, [4], [2, 0, 4, 1]), floats(g, [4], [0.5, 0, 0.3, 0.2])),
  },
  "a value used twice": unary((g, x) => onnx.mul(g, x, onnx.add(g, x, onnx.exp(g, x)))),
};

/** Operators without a gradient: they steer the optimizer or pick indices. */
const WITHOUT_GRADIENT = ["min", "max", "greaterOrEqual", "sumOfSquares", "zeros", "scalarLike"];
/** Too coarse for differences: its gradient has a test of its own. */
const CHECKED_EXACTLY = ["cast"];
const NOT_OPERATORS = [
  "broadcast",
  "describe",
  "dimAt",
  "elementCount",
  "formatShape",
  "gradients",
  "matrixFlops",
  "positiveAxis",
  "requireDType",
  "requireRank",
  "sameShape",
  "sizeAt",
  "staticShape",
  "sumTo",
];

function normal(count: number, seed: number): Float32Array {
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 1) / 4294967297;
  };
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next()),
  );
}

/** A scalar from any result: its product with fixed random numbers, summed. */
function functional(g: Graph, y: Tensor): Tensor {
  const shape = staticShape(y);
  const weights = g.constant("float32", shape, normal(elementCount(shape), 99));
  return sumAll(g, onnx.mul(g, onnx.cast(g, y, "float32"), weights));
}

const valuesOf = ({ inputs, prepare = (value) => value }: Case): Record<string, Float32Array> =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, shape], i) => [name, normal(elementCount(shape), i + 1).map(prepare)]),
  );

/** The gradients of a case in float32, of the case computed in `dtype`. */
async function gradientsIn(dtype: onnx.DType, testCase: Case): Promise<Record<string, Float32Array>> {
  const g = new Graph("case");
  const inputs = Object.entries(testCase.inputs);
  const tensors = inputs.map(([name, shape]) => g.input(name, "float32", shape));
  const narrow = Object.fromEntries(tensors.map((x) => [x.name, onnx.cast(g, x, dtype)]));
  const found = gradients(g, functional(g, testCase.build(g, narrow)), tensors);
  const outputs = inputs.map(([name], i) => ({ name: `d_${name}`, gradient: found[i] }));
  for (const { name, gradient } of outputs) if (gradient) g.output(name, gradient);
  using session = await Session.load(g.toBytes());
  const values = valuesOf(testCase);
  const feeds = inputs.map(([name, shape]) => [
    name,
    Value.wrap("float32", values[name] ?? new Float32Array(), shape),
  ]);
  const results = await session.run(
    Object.fromEntries(feeds),
    outputs.map(({ name }) => name),
  );
  return Object.fromEntries(
    Object.entries(results).map(([name, value]) => [name, Float32Array.from(value.data(), Number)]),
  );
}

async function worstRelativeError(testCase: Case): Promise<number> {
  const { inputs, build } = testCase;
  const g = new Graph("case");
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([name, shape]) => [name, g.input(name, "float32", shape)]),
  );
  const loss = functional(g, build(g, tensors));
  const names = Object.keys(inputs);
  const found = gradients(
    g,
    loss,
    names.map((name) => pick(tensors, name)),
  );
  g.output("loss", loss);
  found.forEach((gradient, i) => g.output(`d_${names[i]}`, gradient));
  using session = await Session.load(g.toBytes());
  const values = valuesOf(testCase);
  const run = async (fetches: readonly string[]): Promise<Record<string, Float32Array>> => {
    const feeds = Object.fromEntries(
      names.map((name) => [
        name,
        Value.wrap("float32", values[name] ?? new Float32Array(), inputs[name] ?? []),
      ]),
    );
    const outputs = await session.run(feeds, fetches);
    return Object.fromEntries(
      Object.entries(outputs).map(([name, value]) => [name, Float32Array.from(value.data(), Number)]),
    );
  };
  const analytic = await run(names.map((name) => `d_${name}`));
  const step = 1e-2;
  let worst = 0;
  for (const name of names) {
    const data = values[name] ?? new Float32Array();
    const gradient = analytic[`d_${name}`] ?? new Float32Array();
    expect(gradient.length).toBe(data.length);
    const size = Math.max(...gradient.map(Math.abs), 1e-3);
    for (let i = 0; i < data.length; i++) {
      const kept = data[i] ?? 0;
      const lossAt = async (value: number): Promise<number> => {
        data[i] = value;
        return (await run(["loss"]))["loss"]?.[0] ?? Number.NaN;
      };
      // The fourth-order central difference: its own error is far below float32's rounding here.
      const numeric =
        (8 * ((await lossAt(kept + step)) - (await lossAt(kept - step))) -
          ((await lossAt(kept + 2 * step)) - (await lossAt(kept - 2 * step)))) /
        (12 * step);
      data[i] = kept;
      worst = Math.max(worst, Math.abs(numeric - (gradient[i] ?? 0)) / size);
    }
  }
  return worst;
}

describe("gradients against central differences", () => {
  it.each(Object.entries(CASES))("%s", async (_name, testCase) => {
    expect(await worstRelativeError(testCase)).toBeLessThan(2e-3);
  });

  it.each(Object.entries(CASES))("in float16 are those of float32: %s", async (_name, testCase) => {
    const [wide, half] = [await gradientsIn("float32", testCase), await gradientsIn("float16", testCase)];
    for (const [name, expected] of Object.entries(wide)) {
      const size = Math.max(...expected.map(Math.abs), 1e-3);
      const differences = expected.map((value, i) => Math.abs(value - (half[name]?.[i] ?? Number.NaN)));
      expect(Math.max(...differences) / size).toBeLessThan(1e-2);
    }
  });

  it("covers every operator of the package", () => {
    const operators = Object.entries(onnx)
      .filter(
        ([name, value]) =>
          typeof value === "function" && /^[a-z]/.test(name) && !NOT_OPERATORS.includes(name),
      )
      .map(([name]) => name);
    const covered = new Set(Object.keys(CASES).map((name) => name.split(/[ ,]/)[0]));
    const exempt = [...WITHOUT_GRADIENT, ...CHECKED_EXACTLY];
    expect(operators.filter((name) => !covered.has(name) && !exempt.includes(name))).toEqual([]);
  });

  it("cast: passes through the other element type and comes back in its own", async () => {
    const g = new Graph("cast");
    const x = g.input("x", "float32", [3]);
    const two = g.constant("float16", [], Uint16Array.of(0x4000));
    const doubled = onnx.cast(g, onnx.mul(g, onnx.cast(g, x, "float16"), two), "float32");
    const [gradient] = gradients(g, sumAll(g, onnx.mul(g, doubled, floats(g, [3], [0.5, -1, 2]))), [x]);
    if (!gradient) throw new Error("no gradient");
    expect(gradient).toMatchObject({ dtype: "float32", shape: [3] });
    g.output("gradient", gradient);
    using session = await Session.load(g.toBytes());
    const outputs = await session.run({ x: Value.wrap("float32", Float32Array.of(1, 2, 3), [3]) }, [
      "gradient",
    ]);
    expect(outputs["gradient"]?.data()).toEqual(Float32Array.of(1, -2, 4));
  });

  it("leaves frozen inputs out", () => {
    const g = new Graph("frozen");
    const x = g.input("x", "float32", [4, 4]);
    const w = g.input("w", "float32", [4, 4]);
    const loss = sumAll(g, onnx.matMul(g, onnx.exp(g, x), w));
    const before = g.nodes.length;
    gradients(g, loss, [w]);
    expect(g.nodes.slice(before).filter((node) => node.op === "FusedMatMul")).toHaveLength(1);
  });

  it("says which tensor the loss does not depend on", () => {
    const g = new Graph("apart");
    const x = g.input("x", "float32", [2]);
    const y = g.input("y", "float32", [2]);
    expect(() => gradients(g, sumAll(g, x), [y])).toThrow("The loss does not depend on y: float32[2].");
    expect(() => gradients(g, x, [x])).toThrow("must be a scalar");
  });
});
