import { Graph, GraphError } from "@llava/onnx";
import { describe, expect, it } from "vitest";
import { rotaryTables } from "../rotary.ts";
import { ServingError } from "./serving-error.ts";
import { ServingOperations } from "./serving-operations.ts";
import { TrainingOperations } from "../training/training-operations.ts";
import type { StoredTensor } from "./weight-source.ts";

const stored = (dtype: string, shape: readonly number[]): StoredTensor => ({
  dtype,
  shape,
  file: "model.safetensors",
  offset: 8,
  length: 64,
});

describe("a stored weight", () => {
  it.each(["F32", "F16", "BF16"])("of type %s is served as float32", (dtype) => {
    const ops = new ServingOperations(new Graph("test"), { get: () => stored(dtype, [4, 2]) });
    expect(ops.weight("w", [4, 2])).toMatchObject({ dtype: "float32", shape: [4, 2] });
  });

  it("of another type is refused by name, with what to do", () => {
    const ops = new ServingOperations(new Graph("test"), { get: () => stored("I8", [4, 2]) });
    const error = expect.objectContaining({
      kind: "unsupported",
      message: expect.stringMatching(/^layer\.w is stored as I8; .* Take /),
    });
    expect(() => ops.weight("layer.w", [4, 2])).toThrow(error);
  });

  it("of a type called like a property of every object is no exception", () => {
    const ops = new ServingOperations(new Graph("test"), { get: () => stored("constructor", [4, 2]) });
    expect(() => ops.weight("w", [4, 2])).toThrow("w is stored as constructor;");
  });

  it("of another shape is refused with both shapes, also when it is used a second time", () => {
    const ops = new ServingOperations(new Graph("test"), { get: () => stored("F32", [4, 2]) });
    const wrong = (): unknown => ops.weight("w", [2, 4]);
    expect(wrong).toThrow(ServingError);
    ops.weight("w", [4, 2]);
    expect(wrong).toThrow(/w is \[4, 2\] in the weights, but .* \[2, 4\]/);
  });

  it("that is used twice is one initializer", () => {
    const graph = new Graph("test");
    const ops = new ServingOperations(graph, { get: () => stored("F32", [4, 2]) });
    expect(ops.weight("w", [4, 2])).toBe(ops.weight("w", [4, 2]));
    expect(graph.initializers.map(({ tensor }) => tensor.name)).toEqual(["w"]);
  });
});

describe("a trained weight", () => {
  it("is one graph input, in one shape", () => {
    const graph = new Graph("test");
    const ops = new TrainingOperations(graph, { ropeTheta: 10_000 });
    expect(ops.weight("w", [4, 2])).toBe(ops.weight("w", [4, 2]));
    expect([...ops.parameters.keys()]).toEqual(["w"]);
    expect(graph.inputs).toHaveLength(1);
    expect(() => ops.weight("w", [8])).toThrow(GraphError);
  });
});

it("training sees as far as each sequence is long", () => {
  const graph = new Graph("test");
  const ops = new TrainingOperations(graph, { ropeTheta: 10_000 });
  const heads = { heads: 2, kvHeads: 1, headSize: 4 };
  for (const tokens of [3, 5, 3]) {
    const q = graph.input(`q${graph.inputs.length}`, "float32", [1, tokens, 8]);
    const k = graph.input(`k${graph.inputs.length}`, "float32", [1, tokens, 4]);
    expect(ops.causalAttention(q, k, k, 0, heads).shape).toEqual([1, tokens, 8]);
  }
});

it("rotary tables are the cosines and sines of position · theta^(−2j/headSize)", () => {
  const { cos, sin } = rotaryTables(50, 8, 500);
  expect([cos.length, sin.length]).toEqual([200, 200]);
  for (let position = 0; position < 50; position++) {
    for (let j = 0; j < 4; j++) {
      const angle = position * 500 ** ((-2 * j) / 8);
      expect(cos[position * 4 + j]).toBeCloseTo(Math.cos(angle), 5);
      expect(sin[position * 4 + j]).toBeCloseTo(Math.sin(angle), 5);
    }
  }
});
