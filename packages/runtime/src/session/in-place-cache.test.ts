import { describe, expect, test } from "vitest";
import { Session } from "./inference-session.ts";
import { buildModel, type TestNode, type TestTensor } from "../../test/test-model.ts";
import { Value } from "./value.ts";

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
