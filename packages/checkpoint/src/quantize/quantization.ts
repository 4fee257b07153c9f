/**
 * Quantization turns float weights into blocks of small integers, rounded to nearest. The first load of a large model
 * spends its time in these loops, which therefore work on plain arrays. The layout is that of ONNX Runtime's MatMulNBits;
 * no zero points, so the middle of the range stands for 0.
 */

export interface BlockFormat {
  readonly bits: 4 | 8;
  /** Neighbouring weights of a row that share a scale: a power of two, at least 16. */
  readonly blockSize: number;
}

/** Number of blocks in one row; the last is filled up with zeros where it is not full. */
export function blocksPerRow(columns: number, { blockSize }: BlockFormat): number {
  return Math.ceil(columns / blockSize);
}

export function bytesPerBlock({ bits, blockSize }: BlockFormat): number {
  return (blockSize * bits) / 8;
}

/**
 * `values` [rows, columns] → `blocks` [rows, blocks, blockSize·bits/8], the even column in the low half of a byte, and `scales`
 * [rows, blocks]: weight ≈ (q − 2^(bits−1)) · scale. The value furthest from zero gets q = 0 with its own sign in the
 * scale, as in llama.cpp's Q4_0: so the one step that a signed range has more of is always used, where amax/7 would
 * leave it out. False when a value is not finite.
 */
export function quantize(
  values: Float32Array,
  columns: number,
  format: BlockFormat,
  blocks: Uint8Array,
  scales: Float32Array,
): boolean {
  const { bits, blockSize } = format;
  const perRow = blocksPerRow(columns, format);
  const write = bits === 4 ? writeNibbles : writeBytes;
  const bytes = bytesPerBlock(format);
  const half = 2 ** (bits - 1);
  let isFinite = true;
  for (let block = 0; block < scales.length; block++) {
    const row = Math.floor(block / perRow);
    const start = row * columns + (block - row * perRow) * blockSize;
    const end = Math.min(start + blockSize, (row + 1) * columns);
    const scale = Math.fround(furthestFromZero(values, start, end) / -half);
    // Below that, 1/scale is not finite in float32 and the block is nothing but zeros for every use.
    const isZero = Math.abs(scale) < SMALLEST_SCALE;
    scales[block] = isZero ? 0 : scale;
    isFinite &&= Number.isFinite(scale);
    write(values, start, end, isZero ? 0 : 1 / scale, blocks, block * bytes, bytes);
  }
  return isFinite;
}

/** The inverse: values [rows, columns]. For checks; the kernels read the blocks themselves. */
export function dequantize(
  blocks: Uint8Array,
  scales: Float32Array,
  columns: number,
  format: BlockFormat,
): Float32Array<ArrayBuffer> {
  const { bits, blockSize } = format;
  const perRow = blocksPerRow(columns, format);
  const values = new Float32Array((scales.length / perRow) * columns);
  const bytes = bytesPerBlock(format);
  const half = 2 ** (bits - 1);
  for (let i = 0; i < values.length; i++) {
    const column = i % columns;
    const block = Math.floor(i / columns) * perRow + Math.floor(column / blockSize);
    const inside = column % blockSize;
    const byte = blocks[block * bytes + Math.floor((inside * bits) / 8)] ?? 0;
    const q = bits === 8 ? byte : (byte >>> (4 * (inside % 2))) & 15;
    values[i] = (q - half) * (scales[block] ?? 0);
  }
  return values;
}

const SMALLEST_SCALE = 2 ** -126;

/** NaN when a value is not finite. */
function furthestFromZero(values: Float32Array, start: number, end: number): number {
  let highest = 0;
  let lowest = 0;
  let sum = 0;
  for (let i = start; i < end; i++) {
    const value = values[i] ?? 0;
    sum += value;
    if (value > highest) highest = value;
    else if (value < lowest) lowest = value;
  }
  if (!Number.isFinite(sum)) return Number.NaN;
  return highest > -lowest ? highest : lowest;
}

function writeNibbles(
  values: Float32Array,
  start: number,
  end: number,
  inverse: number,
  blocks: Uint8Array,
  at: number,
  bytes: number,
): void {
  for (let low = start, byte = at; byte < at + bytes; low += 2, byte += 1) {
    const even = low < end ? steps(values[low] ?? 0, inverse, 8) : 8;
    const odd = low + 1 < end ? steps(values[low + 1] ?? 0, inverse, 8) : 8;
    blocks[byte] = even | (odd << 4);
  }
}

function writeBytes(
  values: Float32Array,
  start: number,
  end: number,
  inverse: number,
  blocks: Uint8Array,
  at: number,
  bytes: number,
): void {
  for (let i = 0; i < bytes; i++) {
    blocks[at + i] = start + i < end ? steps(values[start + i] ?? 0, inverse, 128) : 128;
  }
}

/** −half … half to 0 … 2·half − 1: only the far end, which has no step of its own, is cut off. */
function steps(value: number, inverse: number, half: 8 | 128): number {
  const q = (value * inverse + half + 0.5) | 0;
  return q < 2 * half ? q : 2 * half - 1;
}
