// A drawn scene as the vision tower's input; apart because serving does the same to decoded files in packages/processing.
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
