import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, onTestFinished, test } from "vitest";
import { Session } from "./inference-session.ts";
import { binaryModel, buildModel } from "../../test/test-model.ts";
import { Value } from "./value.ts";

function vector(...numbers: number[]): Value<"float32"> {
  return Value.wrap("float32", Float32Array.from(numbers), [numbers.length]);
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "llava-runtime-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

describe("loading", () => {
  test("from bytes: names of inputs and outputs", async () => {
    using session = await Session.load(binaryModel("Add", ["n"]));
    expect(session.inputs).toEqual(["a", "b"]);
    expect(session.outputs).toEqual(["y"]);
    expect(session.device).toEqual({ type: "cpu" });
  });

  test("from a file whose name is not ASCII", async () => {
    const file = join(await temporaryFolder(), "modèle é.onnx");
    await writeFile(file, binaryModel("Add", ["n"]));
    using session = await Session.load(file);
    const { y } = await session.run({ a: vector(1, 2), b: vector(10, 20) }, ["y"]);
    expect(y?.data()).toEqual(Float32Array.of(11, 22));
  });

  test("weights in another file, at an odd offset", async () => {
    const folder = await temporaryFolder();
    const weights = Float32Array.of(1, -2, 3, 0.5);
    await writeFile(
      join(folder, "weights.bin"),
      Buffer.concat([Buffer.alloc(13, 255), Buffer.from(weights.buffer)]),
    );
    using session = await Session.load(modelWithWeights(13), { externalDataFolder: folder });
    const { y } = await session.run({ a: vector(1, 1, 1, 1) }, ["y"]);
    expect(y?.data()).toEqual(Float32Array.of(2, -1, 4, 1.5));
    expect(session.inputs).toEqual(["a"]);
  });

  test("weights outside of their file, or in a file that is missing", async () => {
    const folder = await temporaryFolder();
    await expect(Session.load(modelWithWeights(0), { externalDataFolder: folder })).rejects.toMatchObject({
      name: "RuntimeError",
      message: expect.stringContaining("weights.bin"),
    });
    await writeFile(join(folder, "weights.bin"), Buffer.alloc(8));
    await expect(Session.load(modelWithWeights(4), { externalDataFolder: folder })).rejects.toMatchObject({
      name: "RuntimeError",
    });
  });

  test("what is not a model, a missing file, an unknown operator, a bad option", async () => {
    await expect(Session.load(Uint8Array.of(1, 2, 3))).rejects.toMatchObject({ code: "invalid_argument" });
    await expect(Session.load("/does/not/exist.onnx")).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining("/does/not/exist.onnx"),
    });
    const tensor = { name: "a", dtype: "float32", shape: [1] } as const;
    const nodes = [{ op: "NoSuchOperator", inputs: ["a"], outputs: ["y"] }];
    const unknown = buildModel({ inputs: [tensor], outputs: [{ ...tensor, name: "y" }], nodes });
    await expect(Session.load(unknown)).rejects.toThrow(/NoSuchOperator/);
    await expect(Session.load(binaryModel("Add", [1]), { threads: 0 })).rejects.toThrow(/threads is 0/);
    await expect(Session.load(binaryModel("Add", [1]), { config: { "": "x" } })).rejects.toMatchObject({
      name: "RuntimeError",
    });
  });
});

describe("running", () => {
  test.for([
    ["float32", Float32Array.of(1.5, -2), Float32Array.of(3, -4)],
    ["int64", BigInt64Array.of(2n ** 60n, -1n), BigInt64Array.of(2n ** 61n, -2n)],
    ["int32", Int32Array.of(7, -8), Int32Array.of(14, -16)],
    ["float16", Uint16Array.of(0x3c00, 0xc000), Uint16Array.of(0x4000, 0xc400)],
  ] as const)("%s", async ([dtype, data, expected]) => {
    using session = await Session.load(binaryModel("Add", ["n"], dtype));
    using value = Value.wrap(dtype, data, [2]);
    const { y } = await session.run({ a: value, b: value }, ["y"]);
    expect(y?.dtype).toBe(dtype);
    expect(y?.shape).toEqual([2]);
    expect(y?.data()).toEqual(expected);
  });

  test("scalars and tensors without elements", async () => {
    using session = await Session.load(binaryModel("Add", []));
    const two = Value.wrap("float32", Float32Array.of(2), []);
    const { y } = await session.run({ a: two, b: two }, ["y"]);
    expect(y?.shape).toEqual([]);
    expect(y?.data()).toEqual(Float32Array.of(4));

    using vectors = await Session.load(binaryModel("Add", ["n"]));
    const empty = await vectors.run({ a: vector(), b: vector() }, ["y"]);
    expect(empty["y"]?.shape).toEqual([0]);
    expect(empty["y"]?.data()).toEqual(new Float32Array());
  });

  test("over shared memory", async () => {
    using session = await Session.load(binaryModel("Add", ["n"]));
    const shared = new Float32Array(new SharedArrayBuffer(8));
    shared.set([3, 4]);
    using value = Value.wrap("float32", shared, [2]);
    const { y } = await session.run({ a: value, b: value }, ["y"]);
    expect(y?.data()).toEqual(Float32Array.of(6, 8));
  });

  test("two runs at once on one session", async () => {
    const size = 256;
    using session = await Session.load(binaryModel("MatMul", [size, size]));
    const matrix = (number: number) =>
      Value.wrap("float32", new Float32Array(size * size).fill(number), [size, size]);
    const runs = [1, 2, 3, 4].map((number) => session.run({ a: matrix(number), b: matrix(1) }, ["y"]));
    const results = await Promise.all(runs);
    const sums = results.map(({ y }) => new Set<unknown>(y?.data()));
    expect(sums).toEqual([1, 2, 3, 4].map((number) => new Set([number * size])));
  });

  test("the event loop turns during a large run", async () => {
    const size = 1536;
    using session = await Session.load(binaryModel("MatMul", [size, size]));
    const ones = session.allocate("float32", [size, size]);
    ones.data().fill(1);
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 1);
    const { y } = await session.run({ a: ones, b: ones }, ["y"]);
    clearInterval(timer);
    expect(y?.data()[size * size - 1]).toBe(size);
    expect(ticks).toBeGreaterThan(0);
  });

  test("more runs at once than are allowed are refused; the others end well", async () => {
    using session = await Session.load(binaryModel("Add", ["n"]), { threads: 1 });
    using one = vector(1);
    const runs = Array.from({ length: 300 }, () => session.run({ a: one, b: one }, ["y"]));
    const settled = await Promise.allSettled(runs);
    const refused = settled.filter((run) => run.status === "rejected").map((run): unknown => run.reason);
    expect(refused).toHaveLength(300 - 256);
    expect(refused[0]).toMatchObject({ name: "RuntimeError", message: expect.stringMatching(/^256 calls/) });
    const { y } = await session.run({ a: one, b: one }, ["y"]);
    expect(y?.data()).toEqual(Float32Array.of(2));
  });

  test("a result of a type that is not read here is an error, also beside others", async () => {
    using session = await Session.load(castModel(DOUBLE));
    await expect(session.run({ x: vector(1, 2) }, ["x2", "y"])).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringMatching(/element type 11 cannot be read: supported are float32, /),
    });
    const { x2 } = await session.run({ x: vector(1, 2) }, ["x2", "x2"]);
    expect(x2?.data()).toEqual(Float32Array.of(2, 4));
  });

  test("wrong names, missing feeds, wrong shapes and types", async () => {
    using session = await Session.load(binaryModel("Add", [2]));
    const a = vector(1, 2);
    await expect(session.run({ a }, ["y"])).rejects.toEqual(invalid(/needs the input b/));
    await expect(session.run({ a, b: a, c: a }, ["y"])).rejects.toEqual(invalid(/no input "c".*are: a, b/));
    await expect(session.run({ a, b: a }, ["z"])).rejects.toEqual(invalid(/no output "z".*are: y/));
    await expect(session.run({ a, b: vector(1, 2, 3) }, ["y"])).rejects.toEqual(
      invalid(/invalid dimensions.*b/s),
    );
    const integers = Value.wrap("int32", Int32Array.of(1, 2), [2]);
    await expect(session.run({ a, b: integers }, ["y"])).rejects.toEqual(invalid(/data type/));
    await expect(session.run({ a, b: a }, ["y"])).resolves.toBeDefined();
  });
});

test("more memory than there is", async () => {
  using session = await Session.load(binaryModel("MatMul", [null, null]));
  expect(() => session.allocate("float32", [2 ** 30, 2 ** 10])).toThrow(
    expect.objectContaining({
      code: "out_of_memory",
      message: expect.stringContaining("4398046511104 bytes"),
    }),
  );
  const size = 2 ** 21; // an output of 16 TiB
  const feeds = { a: session.allocate("float32", [size, 1]), b: session.allocate("float32", [1, size]) };
  await expect(session.run(feeds, ["y"])).rejects.toMatchObject({
    name: "RuntimeError",
    code: "out_of_memory",
  });
});

describe("disposal", () => {
  test("twice is once, and use afterwards is an error", async () => {
    const session = await Session.load(binaryModel("Add", [1]));
    session[Symbol.dispose]();
    session[Symbol.dispose]();
    const disposed = /This session was disposed/;
    expect(() => session.bind()).toThrow(disposed);
    expect(() => session.allocate("float32", [1])).toThrow(disposed);
    await expect(session.run({}, [])).rejects.toThrow(disposed);
  });

  test("of everything while runs are under way", async () => {
    const size = 512;
    const session = await Session.load(binaryModel("MatMul", [size, size]));
    const ones = session.allocate("float32", [size, size]);
    ones.data().fill(1);
    const binding = session.bind().input("a", ones).input("b", ones).outputToCpu("y");
    const runs = [binding.run(), session.run({ a: ones, b: ones }, ["y"])] as const;
    session[Symbol.dispose]();
    binding[Symbol.dispose]();
    ones[Symbol.dispose]();
    await runs[0];
    const { y } = await runs[1];
    expect(y?.data()[0]).toBe(size);
  });

  test("nothing that a binding needs is collected", async () => {
    using session = await Session.load(binaryModel("Add", ["n"]));
    using binding = session.bind().outputToCpu("y");
    const count = 1 << 20;
    binding.input("a", Value.wrap("float32", new Float32Array(count).fill(1), [count]));
    binding.input("b", Value.wrap("float32", new Float32Array(count).fill(2), [count]));
    setFlagsFromString("--expose-gc");
    const collectGarbage: unknown = runInNewContext("gc");
    for (let round = 0; round < 3; round++) {
      if (typeof collectGarbage === "function") collectGarbage();
      new Float32Array(count).fill(9);
    }
    await binding.run();
    expect(new Set<unknown>(binding.result("y").data())).toEqual(new Set([3]));
  });
});

function invalid(message: RegExp): unknown {
  return expect.objectContaining({
    name: "RuntimeError",
    code: "invalid_argument",
    message: expect.stringMatching(message),
  });
}

/** TensorProto.DataType of float64, which no graph here uses. */
const DOUBLE = 11;

/** x2 = x + x, y = x as another element type. */
function castModel(to: number): Uint8Array {
  const floats = (name: string) => ({ name, dtype: "float32", shape: ["n"] }) as const;
  return buildModel({
    inputs: [floats("x")],
    outputs: [floats("x2"), { name: "y", dtype: null, shape: ["n"] }],
    nodes: [
      { op: "Add", inputs: ["x", "x"], outputs: ["x2"] },
      { op: "Cast", inputs: ["x"], outputs: ["y"], attributes: { to } },
    ],
  });
}

/** y = a + w, with four float32 weights in weights.bin. */
function modelWithWeights(offset: number): Uint8Array {
  const tensor = { dtype: "float32", shape: [4] } as const;
  return buildModel({
    inputs: [{ name: "a", ...tensor }],
    outputs: [{ name: "y", ...tensor }],
    nodes: [{ op: "Add", inputs: ["a", "w"], outputs: ["y"] }],
    initializers: [{ name: "w", ...tensor, location: "weights.bin", offset, length: 16 }],
  });
}
