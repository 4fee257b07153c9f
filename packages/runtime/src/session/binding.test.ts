import { describe, expect, test } from "vitest";
import { Session } from "./inference-session.ts";
import { binaryModel, buildModel, type TestTensor } from "../../test/test-model.ts";
import { Value } from "./value.ts";

function vector(...numbers: number[]): Value<"float32"> {
  return Value.wrap("float32", Float32Array.from(numbers), [numbers.length]);
}

describe("outputs", () => {
  test("a value given in advance is written in place, run after run", async () => {
    using session = await Session.load(binaryModel("Add", ["n"]));
    const a = vector(1, 2);
    const y = vector(0, 0);
    using binding = session.bind().input("a", a).input("b", vector(10, 20)).output("y", y);
    await binding.run();
    expect(y.data()).toEqual(Float32Array.of(11, 22));
    a.data().set([5, 6]);
    binding.runSync();
    expect(y.data()).toEqual(Float32Array.of(15, 26));
  });

  test("the same value as input and output", async () => {
    using session = await Session.load(binaryModel("Add", ["n"]));
    const sum = vector(1, 2);
    using binding = session.bind().input("a", sum).input("b", vector(1, 1)).output("y", sum);
    for (let run = 0; run < 3; run++) await binding.run();
    expect(sum.data()).toEqual(Float32Array.of(4, 5));
  });

  test("results change shape between runs, and earlier ones stay as they are", async () => {
    using session = await Session.load(binaryModel("Add", ["n"]));
    using binding = session.bind().outputToCpu("y");
    const results = [];
    for (const numbers of [[1, 2], [3, 4], [5, 6, 7], []]) {
      binding.input("a", vector(...numbers)).input("b", vector(...numbers));
      await binding.run();
      results.push(binding.result("y"));
    }
    expect(results.map((value) => value.shape)).toEqual([[2], [2], [3], [0]]);
    expect(results.map((value) => [...value.data()])).toEqual([[2, 4], [6, 8], [10, 12, 14], []]);
    for (const value of results) value[Symbol.dispose]();
  });

  test("several results are distinguished by name", async () => {
    using session = await Session.load(chainModel(2, 2));
    const two = Value.wrap("float32", Float32Array.of(2, 0, 0, 2), [2, 2]);
    using binding = session.bind().input("t0", two).outputToCpu("t2").outputToCpu("t1").outputToCpu("t2");
    binding.runSync();
    expect(binding.result("t1").data()[0]).toBe(4);
    expect(binding.result("t2").data()[0]).toBe(8);
  });

  test("a result that was not bound or not computed", async () => {
    using session = await Session.load(binaryModel("Add", ["n"]));
    using binding = session.bind().input("a", vector(1)).input("b", vector(1));
    expect(() => binding.result("y")).toThrow(/not bound by outputToCpu/);
    binding.outputToCpu("y");
    expect(() => binding.result("y")).toThrow(/run the binding first/);
    expect(() => binding.result("z")).toThrow(/not bound by outputToCpu/);
  });
});

describe("cancellation", () => {
  test("ends a run that is under way; the binding works again", async () => {
    const size = 512;
    const steps = 150;
    using session = await Session.load(chainModel(size, steps));
    const matrix = session
      .allocate("float32", [size, size])
      .data()
      .fill(1 / size);
    const input = Value.wrap("float32", matrix, [size, size]);
    const first = session.allocate("float32", [size, size]);
    const last = session.allocate("float32", [size, size]);
    first.data().fill(-1);
    last.data().fill(-1);
    using binding = session.bind().input("t0", input).output("t1", first).output(`t${steps}`, last);
    const aborted = new AbortController();
    const run = binding.run({ signal: aborted.signal });
    const timer = setInterval(() => {
      if (first.data()[0] !== -1) aborted.abort(new Error("the reader left"));
    }, 1);
    await expect(run).rejects.toMatchObject({ name: "RuntimeError", code: "terminated" });
    clearInterval(timer);
    expect(new Set(last.data())).toEqual(new Set([-1])); // the last product was never computed

    await binding.run({ signal: new AbortController().signal });
    expect(last.data()[0]).toBeCloseTo(1 / size, 6);
  });

  test("before the run nothing starts", async () => {
    using session = await Session.load(binaryModel("Add", ["n"]));
    const y = vector(0);
    using binding = session.bind().input("a", vector(1)).input("b", vector(1)).output("y", y);
    const reason = new Error("too late");
    const run = binding.run({ signal: AbortSignal.abort(reason) });
    await expect(run).rejects.toMatchObject({ code: "terminated", cause: reason });
    expect(y.data()).toEqual(Float32Array.of(0));
  });

  test("after the run nothing happens", async () => {
    using session = await Session.load(binaryModel("Add", ["n"]));
    using binding = session.bind().input("a", vector(1)).input("b", vector(1)).outputToCpu("y");
    const aborted = new AbortController();
    await binding.run({ signal: aborted.signal });
    aborted.abort();
    expect(binding.result("y").data()).toEqual(Float32Array.of(2));
  });

  test("of one of two runs on a session leaves the other", async () => {
    const size = 256;
    const steps = 200;
    using session = await Session.load(chainModel(size, steps));
    const matrix = session.allocate("float32", [size, size]);
    matrix.data().fill(1 / size);
    const aborted = new AbortController();
    const runs = [
      session.run({ t0: matrix }, [`t${steps}`], { signal: aborted.signal }),
      session.run({ t0: matrix }, [`t${steps}`]),
    ] as const;
    aborted.abort();
    await expect(runs[0]).rejects.toMatchObject({ code: "terminated" });
    const results = await runs[1];
    expect(results[`t${steps}`]?.data()[0]).toBeCloseTo(1 / size, 6);
  });
});

describe("use", () => {
  test("during a run is refused", async () => {
    using session = await Session.load(binaryModel("MatMul", [256, 256]));
    const matrix = session.allocate("float32", [256, 256]);
    using binding = session.bind().input("a", matrix).input("b", matrix).outputToCpu("y");
    const run = binding.run();
    expect(() => binding.input("a", matrix)).toThrow(/This binding is running/);
    expect(() => binding.runSync()).toThrow(/This binding is running/);
    await expect(binding.run()).rejects.toThrow(/This binding is running/);
    await run;
    await binding.run();
  });

  test("after disposal is refused", async () => {
    using session = await Session.load(binaryModel("Add", ["n"]));
    const binding = session.bind();
    const value = vector(1);
    value[Symbol.dispose]();
    expect(() => binding.input("a", value)).toThrow(/This value was disposed/);
    binding[Symbol.dispose]();
    binding[Symbol.dispose]();
    expect(() => binding.outputToCpu("y")).toThrow(/This binding was disposed/);
    await expect(binding.run()).rejects.toThrow(/This binding was disposed/);

    using other = session.bind().input("a", vector(1)).input("b", vector(1)).outputToCpu("y");
    session[Symbol.dispose]();
    expect(() => other.runSync()).toThrow(/This session was disposed/);
  });

  test("a bound value lives on in its binding", async () => {
    using session = await Session.load(binaryModel("Add", ["n"]));
    const { y } = await session.run({ a: vector(1, 2), b: vector(3, 4) }, ["y"]);
    if (y === undefined) throw new Error("no result");
    using binding = session.bind().input("a", y).input("b", y).outputToCpu("y");
    const data = y.data();
    y[Symbol.dispose]();
    await binding.run();
    expect(binding.result("y").data()).toEqual(Float32Array.of(8, 12));
    expect(data.length).toBe(2);
    binding[Symbol.dispose]();
    expect(data.length).toBe(0);
  });

  test("a failed run says why, and the binding works again", async () => {
    using session = await Session.load(binaryModel("Add", ["n"]));
    using binding = session.bind().input("a", vector(1, 2)).outputToCpu("y");
    expect(() => binding.runSync()).toThrow(/needs the input b/);
    binding.input("b", vector(1, 2, 3));
    await expect(binding.run()).rejects.toMatchObject({ name: "RuntimeError", message: /2 by 3|broadcast/ });
    binding.input("b", vector(1, 1));
    await binding.run();
    expect(binding.result("y").data()).toEqual(Float32Array.of(2, 3));
  });
});

/** t1 = t0·t0, t2 = t1·t0, … : many operators one after another, each a place where a run can be terminated. */
function chainModel(size: number, steps: number): Uint8Array {
  const nodes = Array.from({ length: steps }, (_, step) => ({
    op: "MatMul",
    inputs: [`t${step}`, "t0"],
    outputs: [`t${step + 1}`],
  }));
  const outputs = ["t1", `t${steps}`].map((name) => floats(name, [size, size]));
  return buildModel({ inputs: [floats("t0", [size, size])], outputs, nodes });
}

function floats(name: string, shape: readonly (number | string)[]): TestTensor {
  return { name, dtype: "float32", shape };
}
