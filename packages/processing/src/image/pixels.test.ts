import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { assert, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeImage } from "./decode/decode-image.ts";
import { pixelValues, tileValues } from "./pixels.ts";
import { planTiles } from "./plans/image-plan.ts";
import { bicubicWeights, type Image, resampleImage, type Turns } from "./resample.ts";
import { modelView, type ShapedTarget } from "./view.ts";

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
const NO_TURNS: Turns = { isDue: false, rest: async () => undefined };

/** The one square that the model sees of an image, [size, size, 3]. */
async function viewOf(image: Image, target: ShapedTarget): Promise<Uint8Array> {
  const [square = new Uint8Array()] = await modelView(image, target, NO_TURNS);
  return square;
}

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
    const bytes = await viewOf(image, description);
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
    expect(planTiles(strip, { size: 1344, shape: "crop", mean }).tiles).toMatchObject([
      { scaledWidth: 268_800, scaledHeight: 1344, left: 133_728 },
    ]);
    const bytes = await viewOf(strip, { size: 1344, shape: "crop", mean });
    expect(bytes).toHaveLength(1344 * 1344 * 3);
    expect(new Set(bytes)).toEqual(new Set([9]));
  });

  test("pads with LLaVA's colour, centred with a floor", async () => {
    const dot = { width: 2, height: 1, rgb: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    const bytes = await viewOf(dot, { size: 2, shape: "pad", mean });
    expect([...bytes]).toEqual([1, 2, 3, 4, 5, 6, 122, 116, 104, 122, 116, 104]);
  });
});

describe("tiles of several", () => {
  const image = {
    width: 8,
    height: 6,
    rgb: Uint8Array.from({ length: 8 * 6 * 3 }, (_, i) => (i * 37) % 251),
  };
  const fill = [9, 8, 7] as const;
  /** The whole image at 12 × 8 pixels. */
  const scaled = { source: { x: 0, y: 0, width: 8, height: 6 }, scaledWidth: 12, scaledHeight: 8 };
  const rowOf = (square: Uint8Array, size: number, y: number, from: number, to: number): number[] => [
    ...square.subarray((y * size + from) * 3, (y * size + to) * 3),
  ];

  test("continue each other, and have the fill colour beyond the scaled image", async () => {
    // As LLaVA-NeXT's canvas: the scaled image in the middle of 16 × 16 pixels, cut into four tiles.
    const large = await resampleImage(image, { ...scaled, left: -2, top: -4, size: 16 }, fill, NO_TURNS);
    expect(rowOf(large, 16, 3, 0, 16)).toEqual(Array.from({ length: 16 }, () => fill).flat());
    expect(rowOf(large, 16, 12, 0, 2)).toEqual([...fill, ...fill]);
    for (const [row, column] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ] as const) {
      const tile = { ...scaled, left: 8 * column - 2, top: 8 * row - 4, size: 8 };
      const square = await resampleImage(image, tile, fill, NO_TURNS);
      for (let y = 0; y < 8; y++)
        expect(rowOf(square, 8, y, 0, 8)).toEqual(
          rowOf(large, 16, 8 * row + y, 8 * column, 8 * (column + 1)),
        );
    }
  });

  test("show parts of the image as if these had been cut out first", async () => {
    const part = { x: 2, y: 1, width: 5, height: 4 };
    const cut = new Uint8Array(part.width * part.height * 3);
    for (let y = 0; y < part.height; y++)
      cut.set(rowOf(image.rgb, 8, part.y + y, part.x, part.x + part.width), y * part.width * 3);
    const tile = { source: part, scaledWidth: 7, scaledHeight: 7, left: 0, top: 0, size: 7 };
    const expected = await viewOf({ ...part, rgb: cut }, { size: 7, shape: "resize", mean });
    expect(await resampleImage(image, tile, fill, NO_TURNS)).toEqual(expected);
  });

  test("are normalised one after another", async () => {
    const tiles = [0, 4].map((left) => ({ ...scaled, left, top: 2, size: 4 }));
    const plan = { image, tiles, grid: { rows: 1, columns: 2 }, fill };
    const together = await tileValues(image, plan, golden);
    const alone = await Promise.all(
      tiles.map(async (tile) => await tileValues(image, { ...plan, tiles: [tile] }, golden)),
    );
    expect([...together]).toEqual(alone.flatMap((values) => [...values]));
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
