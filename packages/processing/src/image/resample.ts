/**
 * Pillow's bicubic filter, bit for bit: 22-bit fixed-point weights, 8-bit values between the two passes. Our own because
 * libvips' filter differs by up to 83/255 and the model was trained on this one.
 */
import type { Placement } from "./geometry.ts";

/** A decoded image, upright, sRGB, opaque. */
export interface Image {
  readonly width: number;
  readonly height: number;
  /** [height, width, 3], row by row. */
  readonly rgb: Uint8Array;
}

/** Who else must have a turn while a large image is worked on: `rest` is called whenever `isDue`. */
export interface Turns {
  readonly isDue: boolean;
  rest(): Promise<void>;
}

/** Pillow's PRECISION_BITS: 32 bits less 8 for the value less 2 for sums that overshoot. */
const WEIGHT_BITS = 22;
const HALF = 1 << (WEIGHT_BITS - 1);

/**
 * The square that `placement` describes, [size, size, 3]; `fill` colours the canvas beside the image. Equal to pasting
 * the image on the canvas, resizing the whole and cropping, but only the rows and columns that matter are computed:
 * the largest intermediate is canvasHeight * size * 3 bytes, never the canvas.
 */
export async function resampleImage(
  image: Image,
  placement: Placement,
  fill: readonly [number, number, number],
  pace: Turns,
): Promise<Uint8Array> {
  const { canvasWidth, canvasHeight, resizedWidth, resizedHeight, cropLeft, cropTop, size } = placement;
  const columns = bicubicWeights(canvasWidth, resizedWidth, cropLeft, size);
  const rows = bicubicWeights(canvasHeight, resizedHeight, cropTop, size);
  const firstRow = rows.starts[0] ?? 0;
  const narrow = await shrinkRows(image, placement, fill, columns, firstRow, lastRow(rows), pace);
  const square = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; y++) {
    mixRows(narrow, square, y, rows, firstRow, size * 3);
    if (pace.isDue) await pace.rest();
  }
  return square;
}

/** Canvas rows firstRow to endRow, each brought to the width of the square: [endRow - firstRow, size, 3]. */
async function shrinkRows(
  image: Image,
  placement: Placement,
  fill: readonly [number, number, number],
  columns: Weights,
  firstRow: number,
  endRow: number,
  pace: Turns,
): Promise<Uint8Array> {
  const { canvasWidth, offsetX, offsetY, size } = placement;
  const narrow = new Uint8Array((endRow - firstRow) * size * 3);
  // A constant colour stays itself: the rounding of the weights sums to far less than half a step.
  if (placement.canvasHeight !== image.height) fillPixels(narrow, fill);
  const line = fillPixels(new Uint8Array(canvasWidth * 3), fill);
  const bytesPerRow = image.width * 3;
  for (let y = Math.max(firstRow, offsetY); y < Math.min(endRow, offsetY + image.height); y++) {
    const start = (y - offsetY) * bytesPerRow;
    line.set(image.rgb.subarray(start, start + bytesPerRow), offsetX * 3);
    mixColumns(line, narrow, (y - firstRow) * size * 3, columns);
    if (pace.isDue) await pace.rest();
  }
  return narrow;
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

/** One row [canvasWidth, 3] to one row [size, 3] at `at`. */
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

/** Row y of the square from rows [canvas rows, width] of `narrow`, whose first is canvas row `firstRow`. */
function mixRows(
  narrow: Uint8Array,
  square: Uint8Array,
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
  for (let x = 0; x < width; x++) square[y * width + x] = toByte(sums[x]!);
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
