import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { assert, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { placeImage } from "./geometry.ts";
import { decodeImage } from "./decode/decode-image.ts";
import { pixelValues, squareImage } from "./pixels.ts";
import { bicubicWeights } from "./resample.ts";

interface GoldenSquare {
  readonly size: number;
  readonly shape: "pad" | "crop";
  readonly bytes: string;
  readonly values: string;
  readonly first: number[];
  readonly middle: number[];
  readonly last: number[];
  readonly middleValues: number[];
}
interface Golden {
  readonly mean: [number, number, number];
  readonly std: [number, number, number];
  readonly rescale: number;
  readonly pictures: Record<string, { width: number; height: number; rgb: string; squares: GoldenSquare[] }>;
}

const folder = new URL("../../test/golden/", import.meta.url);
const golden = JSON.parse(readFileSync(new URL("pictures.json", folder), "utf8")) as Golden;
const { mean, std, rescale } = golden;

describe.each(Object.entries(golden.pictures))("%s.png", (name, expected) => {
  const file = readFileSync(new URL(`${name}.png`, folder));

  test("decodes to Pillow's pixels, upright and opaque", async () => {
    const image = await decodeImage(file);
    expect([image.width, image.height]).toEqual([expected.width, expected.height]);
    expect(sha256(image.rgb)).toBe(expected.rgb);
  });

  test.each(expected.squares)("$shape at $size is Pillow's to the bit", async (square) => {
    const { size, shape } = square;
    const description = { size, shape, mean, std, rescale };
    const image = await decodeImage(file);
    const bytes = await squareImage(image, description);
    const pixel = (x: number, y: number): number[] => [
      ...bytes.subarray((y * size + x) * 3, (y * size + x) * 3 + 3),
    ];
    expect(pixel(0, 0)).toEqual(square.first);
    expect(pixel(size / 2, size / 2)).toEqual(square.middle);
    expect(pixel(size - 1, size - 1)).toEqual(square.last);
    expect(sha256(bytes)).toBe(square.bytes);
    const values = await pixelValues(image, description);
    const middle = (size / 2) * size + size / 2;
    expect([0, 1, 2].map((channel) => values[channel * size * size + middle])).toEqual(square.middleValues);
    expect(sha256(values)).toBe(square.values);
  });
});

test("weights of any pair of sizes stay in bounds and sum to one", () => {
  const size = integer({ min: 1, max: 2000 });
  assert(
    property(size, size, (from, to) => {
      const weights = bicubicWeights(from, to, 0, to);
      for (let i = 0; i < to; i++) {
        const start = weights.starts[i] ?? -1;
        const taps = weights.counts[i] ?? -1;
        expect(start).toBeGreaterThanOrEqual(0);
        expect(taps).toBeGreaterThan(0);
        expect(start + taps).toBeLessThanOrEqual(from);
        const sum = weights.values
          .subarray(i * weights.stride, i * weights.stride + taps)
          .reduce((a, b) => a + b, 0);
        expect(Math.abs(sum - (1 << 22))).toBeLessThanOrEqual(taps);
      }
    }),
    { numRuns: 30 },
  );
});

describe("geometry", () => {
  test("of the longest strip computes a square only", async () => {
    const strip = { width: 200, height: 1, rgb: new Uint8Array(600).fill(9) };
    expect(placeImage(200, 1, { size: 1344, shape: "crop" })).toMatchObject({
      resizedWidth: 268_800,
      resizedHeight: 1344,
      cropLeft: 133_728,
    });
    const bytes = await squareImage(strip, { size: 1344, shape: "crop", mean, std, rescale });
    expect(bytes).toHaveLength(1344 * 1344 * 3);
    expect(new Set(bytes)).toEqual(new Set([9]));
  });

  test("pads with LLaVA's colour, centred with a floor", async () => {
    const dot = { width: 2, height: 1, rgb: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    const bytes = await squareImage(dot, { size: 2, shape: "pad", mean, std, rescale });
    expect([...bytes]).toEqual([1, 2, 3, 4, 5, 6, 122, 116, 104, 122, 116, 104]);
  });
});

describe("while an image of 12 million pixels is prepared", () => {
  const width = 4000;
  const height = 3000;
  const image = { width, height, rgb: new Uint8Array(width * height * 3).fill(77) };
  const description = { size: 96, shape: "pad", mean, std, rescale } as const;

  test("the event loop gets its turns", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await pixelValues(image, description);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });

  test("the work can be cancelled", async () => {
    const controller = new AbortController();
    setImmediate(() => controller.abort());
    await expect(pixelValues(image, description, controller.signal)).rejects.toMatchObject({
      code: "cancelled",
    });
  });
});

function sha256(data: Uint8Array | Float32Array): string {
  return createHash("sha256").update(data).digest("hex");
}
