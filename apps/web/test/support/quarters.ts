/** Makes an image of four colours that shows its orientation and which part of it was kept. */
import type { Buffer } from "node:buffer";

import sharp from "sharp";
import type { OverlayOptions, Sharp } from "sharp";

/** Red and lime above blue and white. */
export function quarters(width: number, height: number): Sharp {
  const quarter = (background: string, left: number, top: number): OverlayOptions => ({
    input: { create: { width: width / 2, height: height / 2, channels: 3, background } },
    left,
    top,
  });
  return sharp({ create: { width, height, channels: 3, background: "red" } }).composite([
    quarter("lime", width / 2, 0),
    quarter("blue", 0, height / 2),
    quarter("white", width / 2, height / 2),
  ]);
}

/** For each quarter of the upright image, 1 for each channel that is bright. */
export async function coloursOf(bytes: Buffer): Promise<readonly (readonly number[])[]> {
  const { data, info } = await sharp(bytes).autoOrient().raw().toBuffer({ resolveWithObject: true });
  return [
    [0.25, 0.25],
    [0.75, 0.25],
    [0.25, 0.75],
    [0.75, 0.75],
  ].map(([x = 0, y = 0]) => {
    const at = (Math.floor(y * info.height) * info.width + Math.floor(x * info.width)) * info.channels;
    return [...data.subarray(at, at + 3)].map((level) => Math.round(level / 255));
  });
}
