import { RuntimeError, Session, Value } from "@llava/runtime";
import { afterEach, expect, test, vi } from "vitest";
import { KvCache } from "./kv-cache.ts";

const TEXT = { layers: 3, kvHeads: 2, headSize: 4, contextLength: 600 };
/** Bytes of a position of one slot. */
const POSITION = 2 * 3 * 2 * 4 * 4;

afterEach(() => vi.restoreAllMocks());

/** Each number encodes where it is: slot, head, position and place in the head. */
function fill(cache: KvCache): void {
  for (const [layer, { key, value }] of cache.view(0, cache.slots).entries()) {
    for (const [kind, buffer] of [key, value].entries()) {
      const data = floats(buffer);
      for (let i = 0; i < data.length; i++) data[i] = expected(layer, kind, i, cache.capacity);
    }
  }
}

function expected(layer: number, kind: number, index: number, capacity: number): number {
  const place = index % 4;
  const position = Math.floor(index / 4) % capacity;
  const head = Math.floor(index / 4 / capacity) % 2;
  const slot = Math.floor(index / 8 / capacity);
  return (((slot * 3 + layer) * 2 + kind) * 2 + head) * 4096 + position * 4 + place;
}

function floats(value: Value): Float32Array {
  const data = value.data();
  if (!(data instanceof Float32Array)) throw new TypeError("The cache is float32.");
  return data;
}

/** The first `positions` of `slot` are what `fill` wrote into slot `origin`. */
function expectKept(cache: KvCache, slot: number, origin: number, positions: number): void {
  for (const [layer, { key, value }] of cache.view(slot, 1).entries()) {
    for (const [kind, buffer] of [key, value].entries()) {
      const data = floats(buffer);
      for (const head of [0, 1])
        for (let i = 0; i < positions * 4; i++) {
          const at = (origin * 2 + head) * cache.capacity * 4 + i;
          expect(data[head * cache.capacity * 4 + i]).toBe(expected(layer, kind, at, cache.capacity));
        }
    }
  }
}

test("the KV cache grows and shrinks in steps of positions, and keeps what fits", async () => {
  using cache = await KvCache.load(TEXT, 1e9, {});
  expect([cache.slots, cache.capacity, cache.bytes]).toEqual([0, 0, 0]);
  await cache.resize(2, 1);
  expect([cache.slots, cache.capacity, cache.bytes]).toEqual([2, 256, 2 * 256 * POSITION]);
  fill(cache);
  await cache.resize(5, 257);
  expect([cache.slots, cache.capacity]).toEqual([5, 512]);
  expectKept(cache, 0, 0, 256);
  expectKept(cache, 1, 1, 256);
  await cache.resize(1, 600);
  expect([cache.slots, cache.capacity]).toEqual([1, 600]);
  expectKept(cache, 0, 0, 256);
  await expect(cache.resize(1, 601)).rejects.toThrow(RangeError);
});

test("copySlot makes a slot equal to another, and the others stay", async () => {
  using cache = await KvCache.load(TEXT, 1e9, {});
  await cache.resize(3, 100);
  fill(cache);
  await cache.copySlot(0, 2);
  for (const [slot, origin] of [
    [0, 0],
    [1, 1],
    [2, 0],
  ] as const)
    expectKept(cache, slot, origin, 256);
  expect(() => cache.view(2, 2)).toThrow("Slots 2 to 3 are not among the 3");
});

test("in float16 a position takes half the bytes, and what is in the cache is kept bit by bit", async () => {
  using cache = await KvCache.load(TEXT, 1e9, {}, "float16");
  await cache.resize(1, 1);
  expect(cache.bytes).toBe((256 * POSITION) / 2);
  const bits = (slot: number): Uint16Array[] =>
    cache.view(slot, 1).flatMap(({ key, value }) => [key.data(), value.data()] as Uint16Array[]);
  // Every bit pattern of finite numbers, subnormals among them.
  for (const [i, data] of bits(0).entries()) data.set(data.map((_, j) => (31 * j + 977 * i) % 0x7c00));
  const kept = bits(0).map((data) => data.slice());
  await cache.resize(3, 1);
  await cache.copySlot(0, 2);
  for (const slot of [0, 2]) expect(bits(slot)).toEqual(kept);
});

test("the KV cache's limit is in bytes of what would be allocated", async () => {
  using cache = await KvCache.load(TEXT, 2 * 256 * POSITION, {});
  expect([cache.fits(2, 256), cache.fits(2, 257), cache.fits(1, 512), cache.fits(3, 1)]).toEqual([
    true,
    false,
    true,
    false,
  ]);
});

test("without memory to grow the KV cache is empty, and does not grow beyond its size again", async () => {
  using cache = await KvCache.load(TEXT, 1e9, {});
  await cache.resize(1, 10);
  // oxlint-disable-next-line typescript/unbound-method -- called on its session below
  const allocate = Session.prototype.allocate;
  const values: Value[] = [];
  vi.spyOn(Session.prototype, "allocate").mockImplementation(function failing(this: Session, dtype, shape) {
    if (values.length === 3) throw new RuntimeError("out_of_memory", "No memory.");
    const value = allocate.call(this, dtype, shape);
    values.push(value);
    return value;
  });
  await expect(cache.resize(2, 10)).rejects.toThrow("No memory.");
  expect([cache.slots, cache.capacity, cache.view(0, 0)]).toEqual([0, 0, []]);
  for (const value of values) expect(() => value.data()).toThrow("disposed");
  vi.restoreAllMocks();
  expect([cache.fits(1, 256), cache.fits(2, 256)]).toEqual([true, false]);
  await cache.resize(1, 10);
  expect(cache.capacity).toBe(256);
});
