/** Turns the pixels of a drawn scene into the vision tower's input, as packages/processing does with decoded files. */
import { PIXEL_MEAN, PIXEL_STD } from "../model/demo-model.ts";

/** (value/255 − mean) / std for every byte of each channel. */
const NORMALIZED = PIXEL_MEAN.map((mean, channel) =>
  Float32Array.from({ length: 256 }, (_, value) => (value / 255 - mean) / (PIXEL_STD[channel] ?? 1)),
);

/** rgb [size, size, 3] bytes → [3, size, size] at `offset` of `target`. */
export function writePixels(rgb: Uint8Array, target: Float32Array, offset: number): void {
  const plane = rgb.length / 3;
  NORMALIZED.forEach((table, channel) => {
    const start = offset + channel * plane;
    for (let i = 0, source = channel; i < plane; i++, source += 3)
      target[start + i] = table[rgb[source] ?? 0] ?? 0;
  });
}
