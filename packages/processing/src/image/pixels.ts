/** The last step to the vision tower: an image as the normalised numbers that CLIP's processor would make of it. */
import type { SquareShape } from "./geometry.ts";
import { EventLoopYielder } from "./yielder.ts";
import type { Image } from "./resample.ts";
import { modelView } from "./view.ts";

/** How a decoded image becomes numbers: geometry, then (value * rescale - mean) / std for each channel. */
export interface PixelDescription {
  /** Edge of the square that the tower sees, pixels. */
  readonly size: number;
  readonly shape: SquareShape;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  readonly rescale: number;
}

/**
 * [3, size, size], float32. Leaves the event loop its turns: nothing blocks for more than some milliseconds.
 * Throws `cancelled` when the signal is aborted.
 */
export async function pixelValues(
  image: Image,
  description: PixelDescription,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const square = await squareImage(image, description, signal);
  const area = description.size ** 2;
  const values = new Float32Array(3 * area);
  for (const channel of [0, 1, 2] as const) {
    const table = normalisedBytes(description, channel);
    const plane = values.subarray(channel * area, (channel + 1) * area);
    for (let i = 0; i < area; i++) plane[i] = table[square[i * 3 + channel]!]!;
  }
  return values;
}

/** The image as the model sees it, [size, size, 3]. */
export async function squareImage(
  image: Image,
  description: PixelDescription,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  return await modelView(image, description, new EventLoopYielder(signal));
}

/** (byte * rescale - mean) / std for all 256 bytes, rounded to float32 after each operation as in the reference. */
function normalisedBytes({ mean, std, rescale }: PixelDescription, channel: 0 | 1 | 2): Float32Array {
  const centre = Math.fround(mean[channel]);
  const spread = Math.fround(std[channel]);
  return Float32Array.from({ length: 256 }, (_, byte) => {
    return Math.fround(Math.fround(byte * rescale) - centre) / spread;
  });
}
