/** Images of nothing, each another one. */
import sharp from "sharp";

/** A JPEG of coarse noise: as slow to decode as a photo, and as large. */
export async function coarseNoise(width: number, height: number, seed: number): Promise<Buffer> {
  const [columns, rows] = [Math.ceil(width / 8), Math.ceil(height / 8)];
  const pixels = Uint8Array.from(
    { length: columns * rows * 3 },
    (_, i) => ((i + 1) * (2 * seed + 1) * 2_654_435_761) >>> 24,
  );
  const coarse = sharp(pixels, { raw: { width: columns, height: rows, channels: 3 } });
  return await coarse.resize(width, height, { fit: "fill" }).jpeg({ quality: 85 }).toBuffer();
}
