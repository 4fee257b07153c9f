/**
 * Resamples an image to the squares of the vision tower with Pillow's bicubic filter, bit for bit: 22-bit fixed-point
 * weights, 8-bit values between the two passes. libvips' own filter differs by up to 83/255, and models were trained on
 * Pillow's.
 */
import type { Box, Tile } from "./plans/tile.ts";

/** A decoded image, upright, sRGB, opaque. */
export interface Image {
  readonly width: number;
  readonly height: number;
  /** [height, width, 3], row by row. */
  readonly rgb: Uint8Array;
}

/** Turns of the event loop while a large image is worked on: `rest` is called whenever `isDue`. */
export interface Turns {
  readonly isDue: boolean;
  rest(): Promise<void>;
}

/** Pillow's PRECISION_BITS: 32 bits less 8 for the value less 2 for sums that overshoot. */
const WEIGHT_BITS = 22;
const HALF = 1 << (WEIGHT_BITS - 1);

/**
 * The square that `tile` describes, [size, size, 3]; `fill` colours what lies beyond the image. Equal to pasting the image
 * on a canvas, resizing the whole and cropping, but only the rows and columns that matter are computed: the largest
 * intermediate is source.height * size * 3 bytes, never the canvas.
 */
export async function resampleImage(
  image: Image,
  tile: Tile,
  fill: readonly [number, number, number],
  turns: Turns,
): Promise<Uint8Array> {
  const { source, scaledWidth, scaledHeight, size } = tile;
  const square = new Uint8Array(size * size * 3);
  const left = Math.max(0, tile.left);
  const top = Math.max(0, tile.top);
  const width = Math.min(scaledWidth, tile.left + size) - left;
  const height = Math.min(scaledHeight, tile.top + size) - top;
  if (width < size || height < size) fillPixels(square, fill);
  if (width <= 0 || height <= 0) return square;
  const columns = bicubicWeights(source.width, scaledWidth, left, width);
  const rows = bicubicWeights(source.height, scaledHeight, top, height);
  const firstRow = rows.starts[0] ?? 0;
  const narrow = await shrinkRows(image, source, fill, columns, firstRow, lastRow(rows), turns);
  for (let y = 0; y < height; y++) {
    const at = ((top - tile.top + y) * size + left - tile.left) * 3;
    mixRows(narrow, square, at, y, rows, firstRow, width * 3);
    if (turns.isDue) await turns.rest();
  }
  return square;
}

/** Rows firstRow to endRow of the source, each brought to the width that the square shows: [endRow - firstRow, width, 3]. */
async function shrinkRows(
  image: Image,
  source: Box,
  fill: readonly [number, number, number],
  columns: Weights,
  firstRow: number,
  endRow: number,
  turns: Turns,
): Promise<Uint8Array> {
  const bytesPerRow = columns.starts.length * 3;
  const narrow = new Uint8Array((endRow - firstRow) * bytesPerRow);
  const inImage = overlap(image, source);
  // A constant colour stays itself: the rounding of the weights sums to far less than half a step.
  if (inImage.height < source.height) fillPixels(narrow, fill);
  const line = fillPixels(new Uint8Array(source.width * 3), fill);
  const firstInImage = Math.max(firstRow, inImage.y - source.y);
  const endInImage = Math.min(endRow, inImage.y - source.y + inImage.height);
  for (let y = firstInImage; y < endInImage; y++) {
    const start = ((source.y + y) * image.width + inImage.x) * 3;
    line.set(image.rgb.subarray(start, start + inImage.width * 3), (inImage.x - source.x) * 3);
    mixColumns(line, narrow, (y - firstRow) * bytesPerRow, columns);
    if (turns.isDue) await turns.rest();
  }
  return narrow;
}

/** The part of a box that lies in the image. */
function overlap(image: Image, { x, y, width, height }: Box): Box {
  const [left, top] = [Math.max(0, x), Math.max(0, y)];
  return {
    x: left,
    y: top,
    width: Math.min(image.width, x + width) - left,
    height: Math.min(image.height, y + height) - top,
  };
}

/** Weights for a run of output positions; position i reads `counts[i]` inputs from `starts[i]`. */
interface Weights {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  /** [positions, stride], fixed point. */
  readonly values: Int32Array;
  readonly stride: number;
}

/**
 * Positions first to first + count of an output of `outputSize`, from an input of `inputSize`. The order of the
 * floating-point operations is Pillow's (precompute_coeffs, normalize_coeffs_8bpc): another order rounds otherwise.
 */
export function bicubicWeights(inputSize: number, outputSize: number, first: number, count: number): Weights {
  const scale = inputSize / outputSize;
  const filterScale = Math.max(scale, 1);
  const support = 2 * filterScale;
  const stride = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(count);
  const counts = new Int32Array(count);
  const values = new Int32Array(count * stride);
  const exact = new Float64Array(stride);
  for (let i = 0; i < count; i++) {
    const center = (first + i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const taps = Math.min(inputSize, Math.trunc(center + support + 0.5)) - start;
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const weight = bicubic((tap + start - center + 0.5) * (1 / filterScale));
      exact[tap] = weight;
      sum += weight;
    }
    for (let tap = 0; tap < taps; tap++) {
      const weight = (exact[tap] ?? 0) / sum;
      values[i * stride + tap] = Math.trunc((weight < 0 ? -0.5 : 0.5) + weight * (1 << WEIGHT_BITS));
    }
    starts[i] = start;
    counts[i] = taps;
  }
  return { starts, counts, values, stride };
}

/** Keys' cubic with a = -0.5. */
function bicubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/** One row of the source, [source.width, 3], to one row [width, 3] at `at`. */
function mixColumns(
  line: Uint8Array,
  out: Uint8Array,
  at: number,
  { starts, counts, values, stride }: Weights,
): void {
  for (let x = 0; x < starts.length; x++) {
    let red = HALF;
    let green = HALF;
    let blue = HALF;
    let pixel = starts[x]! * 3;
    const firstWeight = x * stride;
    const endWeight = firstWeight + counts[x]!;
    for (let i = firstWeight; i < endWeight; i++) {
      const weight = values[i]!;
      red = (red + line[pixel]! * weight) | 0;
      green = (green + line[pixel + 1]! * weight) | 0;
      blue = (blue + line[pixel + 2]! * weight) | 0;
      pixel += 3;
    }
    out[at + x * 3] = toByte(red);
    out[at + x * 3 + 1] = toByte(green);
    out[at + x * 3 + 2] = toByte(blue);
  }
}

/** Row y of what the square shows, at `at`, from rows [rows, width] of `narrow`, whose first is source row `firstRow`. */
function mixRows(
  narrow: Uint8Array,
  square: Uint8Array,
  at: number,
  y: number,
  { starts, counts, values, stride }: Weights,
  firstRow: number,
  width: number,
): void {
  const sums = new Int32Array(width).fill(HALF);
  const start = starts[y]! - firstRow;
  for (let tap = 0; tap < counts[y]!; tap++) {
    const weight = values[y * stride + tap]!;
    const from = (start + tap) * width;
    for (let x = 0; x < width; x++) sums[x] = sums[x]! + narrow[from + x]! * weight;
  }
  for (let x = 0; x < width; x++) square[at + x] = toByte(sums[x]!);
}

/** Fixed point to a value, overshoot cut off. */
function toByte(sum: number): number {
  const value = sum >> WEIGHT_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

function lastRow({ starts, counts }: Weights): number {
  const last = starts.length - 1;
  return (starts[last] ?? 0) + (counts[last] ?? 0);
}

/** Doubles what is filled with each copy: a loop over the pixels of a large canvas would block for too long. */
function fillPixels(rgb: Uint8Array, colour: readonly [number, number, number]): Uint8Array {
  rgb.set(colour);
  for (let filled = 3; filled < rgb.length; filled *= 2) rgb.copyWithin(filled, 0, filled);
  return rgb;
}
