import { Value } from "@llava/runtime";
import { expect, test } from "vitest";
import { KvCache } from "./kv-cache.ts";

const TEXT = { layers: 3, kvHeads: 2, headSize: 4, contextLength: 600 };

/** As a session on the CPU allocates, counted; from the `failAt`-th call on there is no memory. */
class Memory {
  readonly values: Value[] = [];
  failAt = Infinity;

  readonly allocate = (shape: readonly number[]): Value => {
    if (this.values.length >= this.failAt) throw new Error("no memory");
    const size = shape.reduce((a, b) => a * b, 1);
    const value = Value.wrap("float32", new Float32Array(size), shape);
    this.values.push(value);
    return value;
  };

  /** Values that nobody disposed. */
  get alive(): readonly Value[] {
    return this.values.filter((value) => isAlive(value));
  }
}

function isAlive(value: Value): boolean {
  try {
    value.data();
    return true;
  } catch {
    return false;
  }
}

test("slots are taken once each and come back", () => {
  const cache = new KvCache(new Memory().allocate, TEXT, 2);
  const slots = [cache.take(), cache.take()];
  expect(new Set(slots)).toEqual(new Set([0, 1]));
  expect([cache.freeSlots, cache.take()]).toEqual([0, undefined]);
  cache.release(1);
  expect([cache.freeSlots, cache.take(), cache.freeSlots]).toEqual([1, 1, 0]);
});

test("a slot that nobody holds cannot come back", () => {
  const cache = new KvCache(new Memory().allocate, TEXT, 2);
  const slot = cache.take() ?? -1;
  cache.release(slot);
  for (const wrong of [slot, 1, 2, -1, 0.5]) expect(() => cache.release(wrong)).toThrow("nobody holds it");
  expect(cache.freeSlots).toBe(2);
});

test("the buffers grow in steps up to the context, and never shrink", () => {
  const memory = new Memory();
  const cache = new KvCache(memory.allocate, TEXT, 2);
  expect([cache.capacity, cache.layers.length]).toEqual([0, 0]);
  const grown = [1, 200, 256, 257, 100, 600].map((positions) => [cache.reserve(positions), cache.capacity]);
  expect(grown).toEqual([
    [true, 256],
    [false, 256],
    [false, 256],
    [true, 512],
    [false, 512],
    [true, 600],
  ]);
  expect(cache.layers).toHaveLength(3);
  for (const { key, value } of cache.layers) {
    expect(key.shape).toEqual([2, 2, 600, 4]);
    expect(value.shape).toEqual([2, 2, 600, 4]);
  }
  expect(memory.alive).toHaveLength(6);
  expect(() => cache.reserve(601)).toThrow(RangeError);
  cache[Symbol.dispose]();
  expect(memory.alive).toEqual([]);
});

test("without memory for more it is empty, keeps nothing, and can be asked again", () => {
  const memory = new Memory();
  const cache = new KvCache(memory.allocate, TEXT, 1);
  cache.reserve(10);
  memory.failAt = memory.values.length + 3;
  expect(() => cache.reserve(300)).toThrow("no memory");
  expect([cache.capacity, cache.layers, memory.alive]).toEqual([0, [], []]);
  memory.failAt = Infinity;
  expect(cache.reserve(10)).toBe(true);
  expect(cache.capacity).toBe(256);
});
