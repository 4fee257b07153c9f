/** Turns the tiles of a decoded image into the normalised numbers that CLIP's processor would make of them. */
import type { TilePlan } from "./plans/plan-maker.ts";
import { planTiles, type ShapedTarget } from "./plans/image-plan.ts";
import { EventLoopYielder } from "./yielder.ts";
import { type Image, resampleImage } from "./resample.ts";

/** How bytes become numbers: (byte * rescale - mean) / std for each channel. */
export interface Normalisation {
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  readonly rescale: number;
}

/** How a decoded image becomes numbers: tiles, then normalisation. */
export interface PixelDescription extends ShapedTarget, Normalisation {}

/**
 * The tiles of a decoded image, [tiles, 3, size, size], float32. Returns to the event loop often enough that nothing is
 * blocked for more than some milliseconds. Throws `cancelled` when the signal is aborted.
 */
export async function tileValues(
  image: Image,
  { tiles, fill }: TilePlan,
  normalisation: Normalisation,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const turns = new EventLoopYielder(signal);
  const values = new Float32Array(tiles.reduce((sum, { size }) => sum + 3 * size ** 2, 0));
  let at = 0;
  for (const tile of tiles) {
    const square = await resampleImage(image, tile, fill, turns);
    writeNormalised(square, normalisation, values.subarray(at, at + square.length));
    at += square.length;
  }
  return values;
}

/** The same for an image whose plan is not known yet. */
export async function pixelValues(
  image: Image,
  description: PixelDescription,
  signal?: AbortSignal,
): Promise<Float32Array> {
  return await tileValues(image, planTiles(image, description), description, signal);
}

/** [size, size, 3] to [3, size, size]. */
function writeNormalised(square: Uint8Array, normalisation: Normalisation, values: Float32Array): void {
  const area = square.length / 3;
  for (const channel of [0, 1, 2] as const) {
    const table = normalisedBytes(normalisation, channel);
    const plane = values.subarray(channel * area, (channel + 1) * area);
    for (let i = 0; i < area; i++) plane[i] = table[square[i * 3 + channel]!]!;
  }
}

/** (byte * rescale - mean) / std for all 256 bytes, rounded to float32 after each operation as in the reference. */
function normalisedBytes({ mean, std, rescale }: Normalisation, channel: 0 | 1 | 2): Float32Array {
  const centre = Math.fround(mean[channel]);
  const spread = Math.fround(std[channel]);
  return Float32Array.from({ length: 256 }, (_, byte) => {
    return Math.fround(Math.fround(byte * rescale) - centre) / spread;
  });
}
