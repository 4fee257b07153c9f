import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { narrowToBfloat16, narrowToFloat16, widenBfloat16, widenFloat16 } from "./float16.ts";

const ALL = Uint16Array.from({ length: 1 << 16 }, (_, bits) => bits);

function widenAll(widen: (source: Uint16Array, target: Float32Array) => void): Float32Array {
  const values = new Float32Array(ALL.length);
  widen(ALL, values);
  return values;
}

function narrow(how: (source: Float32Array, target: Uint16Array) => void, value: number): number {
  const bits = new Uint16Array(1);
  how(Float32Array.of(value), bits);
  return bits[0] ?? -1;
}

/** The definition of IEEE binary16, in arithmetic. */
function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

describe("float16", () => {
  test("every value widens to what IEEE 754 defines", () => {
    const values = widenAll(widenFloat16);
    expect(ALL.filter((bits) => !Object.is(values[bits], float16Value(bits)))).toHaveLength(0);
  });

  test("every value survives the way there and back, NaN payloads included", () => {
    const back = new Uint16Array(ALL.length);
    narrowToFloat16(widenAll(widenFloat16), back);
    const isNaN = (bits: number): boolean => (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;
    expect(back).toEqual(ALL.map((bits) => (isNaN(bits) ? bits | 0x200 : bits)));
  });

  test("between two neighbours the nearer wins, and the even one half way", () => {
    const wrong: number[] = [];
    // Up to the largest finite value, whose upper neighbour would be 65536.
    for (let bits = 0; bits < 0x7c00; bits++) {
      const low = float16Value(bits);
      const high = bits === 0x7bff ? 65_536 : float16Value(bits + 1);
      const middle = (low + high) / 2;
      const step = (high - low) / 64;
      const found = [middle - step, middle, middle + step].map((value) => narrow(narrowToFloat16, value));
      const below = [step - middle, -middle, -middle - step].map(
        (value) => narrow(narrowToFloat16, value) - 0x8000,
      );
      const expected = [bits, bits % 2 === 0 ? bits : bits + 1, bits + 1];
      if (found.join() !== expected.join() || below.join() !== expected.join()) wrong.push(bits);
    }
    expect(wrong).toEqual([]);
  });

  test.each([
    [65_519.996, 0x7bff],
    [65_520, 0x7c00],
    [1e30, 0x7c00],
    [-Infinity, 0xfc00],
    [2 ** -25, 0],
    [-(2 ** -25), 0x8000],
    [2 ** -25 * 1.000001, 1],
    [2 ** -149, 0],
  ])("%f becomes %i", (value, bits) => {
    expect(narrow(narrowToFloat16, value)).toBe(bits);
  });
});

describe("bfloat16", () => {
  test("every value is the upper half of a float32, there and back", () => {
    const values = widenAll(widenBfloat16);
    const words = new Uint32Array(values.buffer);
    const back = new Uint16Array(ALL.length);
    narrowToBfloat16(values, back);
    const isNaN = (bits: number): boolean => (bits & 0x7f80) === 0x7f80 && (bits & 0x7f) !== 0;
    expect(words).toEqual(Uint32Array.from(ALL, (bits) => bits * 65_536));
    expect(back).toEqual(ALL.map((bits) => (isNaN(bits) ? bits | 0x40 : bits)));
  });

  test("any float32 becomes its nearest neighbour, ties the even one", () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true }), (value) => {
        const bits = narrow(narrowToBfloat16, value);
        const word = new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;
        const low = word >>> 16;
        const rest = word & 0xffff;
        const expected = rest > 0x8000 || (rest === 0x8000 && low % 2 === 1) ? low + 1 : low;
        expect(bits).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  test("a NaN whose payload lies in the lower half stays NaN", () => {
    const nan = new Float32Array(Uint32Array.of(0x7f80_0001, 0xffff_ffff).buffer);
    const bits = new Uint16Array(2);
    narrowToBfloat16(nan, bits);
    expect([...bits]).toEqual([0x7fc0, 0xffff]);
  });
});
