import { describe, expect, test } from "vitest";
import { Session } from "./session.ts";
import { binaryModel, buildModel, type TestNode, type TestTensor } from "./test-model.ts";
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

  test("several results are told apart by name", async () => {
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

describe("key-value cache in place", () => {
  const heads = 4;
  const kvHeads = 2;
  const headSize = 8;
  const capacity = 16;

  test("decode of two rows of different length", async () => {
    using session = await Session.load(attentionModel());
    const past = [5, 2];
    const cache = {
      key: session.allocate("float32", cacheShape(2)),
      value: session.allocate("float32", cacheShape(2)),
    };
    fill(cache.key.data(), 1);
    fill(cache.value.data(), 2);
    const step = {
      q: random([2, 1, heads * headSize], 3),
      k: random([2, 1, kvHeads * headSize], 4),
      v: random([2, 1, kvHeads * headSize], 5),
    };
    const expected = attend(step, cache, past);

    using binding = session.bind();
    binding.input("q", step.q).input("k", step.k).input("v", step.v);
    binding.input("lengths", Value.wrap("int32", Int32Array.from(past), [2]));
    binding.input("total", Value.wrap("int32", Int32Array.of(Math.max(...past) + 1), []));
    binding.input("pastKey", cache.key).input("pastValue", cache.value);
    binding.output("key", cache.key).output("value", cache.value).outputToCpu("y");
    await binding.run();

    expectClose(binding.result("y").data(), expected.output);
    expectClose(cache.key.data(), expected.key);
    expectClose(cache.value.data(), expected.value);
  });

  test("a prompt chunk on the view of one slot leaves the other slots alone", async () => {
    using session = await Session.load(attentionModel());
    const key = session.allocate("float32", cacheShape(3));
    const value = session.allocate("float32", cacheShape(3));
    key.data().fill(-7);
    value.data().fill(-7);
    const slotSize = kvHeads * capacity * headSize;
    using slotKey = key.view(slotSize, cacheShape(1));
    using slotValue = value.view(slotSize, cacheShape(1));
    const tokens = 3;
    const k = random([1, tokens, kvHeads * headSize], 6);

    using binding = session.bind();
    binding
      .input("q", random([1, tokens, heads * headSize], 7))
      .input("k", k)
      .input("v", k);
    binding.input("lengths", Value.wrap("int32", Int32Array.of(tokens - 1), [1]));
    binding.input("total", Value.wrap("int32", Int32Array.of(tokens), []));
    binding.input("pastKey", slotKey).input("pastValue", slotValue);
    binding.output("key", slotKey).output("value", slotValue).outputToCpu("y");
    await binding.run();

    for (const cache of [key.data(), value.data()]) {
      expect(new Set(cache.subarray(0, slotSize))).toEqual(new Set([-7]));
      expect(new Set(cache.subarray(2 * slotSize))).toEqual(new Set([-7]));
      const firstHead = cache.subarray(slotSize, slotSize + tokens * headSize);
      const expected = Array.from({ length: tokens }, (_, token) => [
        ...k.data().subarray(token * kvHeads * headSize, token * kvHeads * headSize + headSize),
      ]);
      expectClose(firstHead, Float32Array.from(expected.flat()));
    }
  });

  function cacheShape(slots: number): readonly number[] {
    return [slots, kvHeads, capacity, headSize];
  }

  function attentionModel(): Uint8Array {
    const inputs: TestTensor[] = [
      floats("q", ["B", "S", heads * headSize]),
      floats("k", ["B", "S", kvHeads * headSize]),
      floats("v", ["B", "S", kvHeads * headSize]),
      floats("pastKey", ["B", kvHeads, "P", headSize]),
      floats("pastValue", ["B", kvHeads, "P", headSize]),
      { name: "lengths", dtype: "int32", shape: ["B"] },
      { name: "total", dtype: "int32", shape: [] },
    ];
    const outputs = [
      floats("y", ["B", "S", heads * headSize]),
      floats("key", ["B", kvHeads, "P2", headSize]),
      floats("value", ["B", kvHeads, "P2", headSize]),
    ];
    const node: TestNode = {
      op: "GroupQueryAttention",
      domain: "com.microsoft",
      inputs: inputs.map(({ name }) => name),
      outputs: outputs.map(({ name }) => name),
      attributes: { num_heads: heads, kv_num_heads: kvHeads },
    };
    return buildModel({ inputs, outputs, nodes: [node] });
  }

  /** One decode step in plain arithmetic: the new key and value go to position `past`, then attention. */
  function attend(
    step: Record<"q" | "k" | "v", Value<"float32">>,
    cache: Record<"key" | "value", Value<"float32">>,
    past: readonly number[],
  ): Record<"output" | "key" | "value", Float32Array> {
    const [q, k, v] = [step.q.data(), step.k.data(), step.v.data()];
    const key = cache.key.data().slice();
    const value = cache.value.data().slice();
    const output = new Float32Array(q.length);
    for (const [row, length] of past.entries()) {
      for (let head = 0; head < kvHeads; head++) {
        const at = ((row * kvHeads + head) * capacity + length) * headSize;
        const from = (row * kvHeads + head) * headSize;
        key.set(k.subarray(from, from + headSize), at);
        value.set(v.subarray(from, from + headSize), at);
      }
      for (let head = 0; head < heads; head++) {
        const slot = (row * kvHeads + Math.floor((head * kvHeads) / heads)) * capacity * headSize;
        const query = (row * heads + head) * headSize;
        const weights = Array.from({ length: length + 1 }, (_, position) => {
          let dot = 0;
          for (let i = 0; i < headSize; i++)
            dot += at(q, query + i) * at(key, slot + position * headSize + i);
          return Math.exp(dot / Math.sqrt(headSize));
        });
        const sum = weights.reduce((a, b) => a + b);
        for (let i = 0; i < headSize; i++) {
          output[query + i] = weights.reduce(
            (y, weight, position) => y + (weight / sum) * at(value, slot + position * headSize + i),
            0,
          );
        }
      }
    }
    return { output, key, value };
  }
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

function random(shape: readonly number[], seed: number): Value<"float32"> {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  fill(data, seed);
  return Value.wrap("float32", data, shape);
}

/** Numbers in (-1, 1) from a fixed sequence. */
function fill(data: Float32Array, seed: number): void {
  for (const index of data.keys()) data[index] = Math.sin(seed * 1000 + index * 12.9898);
}

function at(data: Float32Array, index: number): number {
  return data[index] ?? Number.NaN;
}

function expectClose(actual: ArrayLike<number | bigint>, expected: Float32Array): void {
  expect(actual.length).toBe(expected.length);
  const difference = expected.reduce(
    (most, number, i) => Math.max(most, Math.abs(number - Number(actual[i]))),
    0,
  );
  expect(difference).toBeLessThan(1e-6);
}
