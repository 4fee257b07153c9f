import { array, assert, constantFrom, double, integer, property, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { type BlockFormat, blocksPerRow, bytesPerBlock, dequantize, quantize } from "./quantization.ts";

const FORMATS: readonly BlockFormat[] = [
  { bits: 4, blockSize: 32 },
  { bits: 4, blockSize: 64 },
  { bits: 8, blockSize: 32 },
];

/** 2⁻¹²⁶, the smallest normal float32: a block whose scale would be less is nothing but zeros. */
const SMALLEST_SCALE = 2 ** -126;

function quantized(values: Float32Array, columns: number, format: BlockFormat) {
  const numBlocks = (values.length / columns) * blocksPerRow(columns, format);
  const blocks = new Uint8Array(numBlocks * bytesPerBlock(format));
  const scales = new Float32Array(numBlocks);
  const isFinite = quantize(values, columns, format, blocks, scales);
  return { blocks, scales, isFinite, back: dequantize(blocks, scales, columns, format) };
}

const matrices = record({
  format: constantFrom(...FORMATS),
  columns: integer({ min: 1, max: 150 }),
  numbers: array(double({ min: -3, max: 3, noNaN: true }), { minLength: 1, maxLength: 300 }),
}).map(({ format, columns, numbers }) => {
  const rows = Math.ceil(numbers.length / columns);
  return {
    format,
    columns,
    values: Float32Array.from({ length: rows * columns }, (_, i) => numbers[i] ?? 0),
  };
});

describe("every matrix", () => {
  test("comes back to within half a step, and a whole one at the far end of the range", () => {
    assert(
      property(matrices, ({ format, columns, values }) => {
        const { scales, back } = quantized(values, columns, format);
        const perRow = blocksPerRow(columns, format);
        const half = 2 ** (format.bits - 1);
        values.forEach((value, i) => {
          const block = Math.floor(i / columns) * perRow + Math.floor((i % columns) / format.blockSize);
          const step = Math.abs(scales[block] ?? 0);
          const isFarEnd = value / (scales[block] ?? 0) > half - 1;
          const allowed = (isFarEnd ? 1 : 0.5) * step + 1e-6 * Math.abs(value) + half * SMALLEST_SCALE;
          expect(Math.abs(value - (back[i] ?? 0))).toBeLessThanOrEqual(allowed);
        });
      }),
    );
  });

  test("keeps the value of each block that is furthest from zero", () => {
    assert(
      property(matrices, ({ format, columns, values }) => {
        const { back } = quantized(values, columns, format);
        for (let start = 0; start < values.length; start += columns) {
          for (let column = 0; column < columns; column += format.blockSize) {
            const from = start + column;
            const to = Math.min(from + format.blockSize, start + columns);
            const furthest = values
              .subarray(from, to)
              .reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
            const kept = back.subarray(from, to).reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
            expect(Math.abs(kept)).toBeCloseTo(Math.abs(furthest), 5);
          }
        }
      }),
    );
  });
});

test("the bits lie as MatMulNBits reads them: a row's blocks, the even column in the low half, 8 for zero", () => {
  const row = Float32Array.from({ length: 32 }, (_, i) => (i === 0 ? -8 : i === 1 ? 7 : i === 2 ? 3 : 0));
  const { blocks, scales } = quantized(row, 32, { bits: 4, blockSize: 32 });
  expect([...scales]).toEqual([1]);
  expect([...blocks]).toEqual([0xf0, 0x8b, ...Array.from({ length: 14 }, () => 0x88)]);
});

test("what fills up a row counts as zero, and a row begins with a block of its own", () => {
  const values = Float32Array.from([
    ...Array.from({ length: 33 }, () => 2),
    ...Array.from({ length: 33 }, () => -4),
  ]);
  const { blocks, scales, back } = quantized(values, 33, { bits: 8, blockSize: 32 });
  expect([...scales]).toEqual([-2 / 128, -2 / 128, 4 / 128, 4 / 128]);
  expect([...blocks.subarray(32, 35)]).toEqual([0, 128, 128]);
  expect([...back]).toEqual([...values]);
});

test("zeros and numbers too small for a scale are zero", () => {
  for (const value of [0, 1e-45, -1e-44]) {
    const { scales, back, isFinite } = quantized(new Float32Array(64).fill(value), 64, {
      bits: 4,
      blockSize: 32,
    });
    expect([...scales]).toEqual([0, 0]);
    expect(new Set(back)).toEqual(new Set([0]));
    expect(isFinite).toBe(true);
  }
});

test.each([Number.NaN, Infinity, -Infinity])("%d is reported", (value) => {
  for (const place of [0, 31, 40]) {
    const values = new Float32Array(64).fill(0.5);
    values[place] = value;
    for (const format of FORMATS) expect(quantized(values, 64, format).isFinite).toBe(false);
  }
});
