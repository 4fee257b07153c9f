/** The last step to the vision tower: a picture as the normalised numbers that CLIP's processor would make of it. */
import type { PixelDescription } from "./description.ts";
import { placePicture } from "./geometry.ts";
import { Pace } from "./pace.ts";
import type { Picture } from "./picture.ts";
import { resamplePicture } from "./resample.ts";

/**
 * [3, size, size], float32. Leaves the event loop its turns: nothing blocks for more than some milliseconds.
 * Throws `cancelled` when the signal is aborted.
 */
export async function pixelValues(
  picture: Picture,
  description: PixelDescription,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const square = await squarePicture(picture, description, signal);
  const area = description.size ** 2;
  const values = new Float32Array(3 * area);
  for (const channel of [0, 1, 2] as const) {
    const table = normalisedBytes(description, channel);
    const plane = values.subarray(channel * area, (channel + 1) * area);
    for (let i = 0; i < area; i++) plane[i] = table[square[i * 3 + channel]!]!;
  }
  return values;
}

/** The picture as the model sees it, [size, size, 3]. */
export async function squarePicture(
  picture: Picture,
  description: PixelDescription,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const placement = placePicture(picture.width, picture.height, description);
  return await resamplePicture(picture, placement, paddingColour(description), new Pace(signal));
}

/** LLaVA's int(mean * 255): CLIP's mean is (122, 116, 104). */
function paddingColour({ mean }: PixelDescription): [number, number, number] {
  return [Math.trunc(mean[0] * 255), Math.trunc(mean[1] * 255), Math.trunc(mean[2] * 255)];
}

/** (byte * rescale - mean) / std for all 256 bytes, rounded to float32 after each operation as in the reference. */
function normalisedBytes({ mean, std, rescale }: PixelDescription, channel: 0 | 1 | 2): Float32Array {
  const centre = Math.fround(mean[channel]);
  const spread = Math.fround(std[channel]);
  return Float32Array.from({ length: 256 }, (_, byte) => {
    return Math.fround(Math.fround(byte * rescale) - centre) / spread;
  });
}
