/**
 * A weight thread does one WeightJob after the other. It reads and writes files synchronously, because nothing else waits
 * for its event loop.
 */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { crc32 } from "node:zlib";
import { LlavaError } from "@llava/protocol";
import { damaged } from "../tensors/damaged.ts";
import { widenBfloat16, widenFloat16 } from "../tensors/float16.ts";
import { blocksPerRow, bytesPerBlock, quantize } from "./quantization.ts";
import { BYTES_PER_ELEMENT } from "../tensors/tensor-entry.ts";
import { versionOf } from "../tensors/weight-file.ts";
import type {
  ChecksumJob,
  Checksums,
  CopyJob,
  FileRange,
  QuantizeJob,
  ThreadAnswer,
  WeightJob,
} from "./weight-job.ts";

/** Bytes read at once: long enough that the calls cost nothing, short enough to stay in the caches. */
const PIECE_BYTES = 1 << 22;

const port = parentPort;
if (port === null) throw new Error("weight-thread.ts is started as a thread by weight-threads.ts.");

port.on("message", (job: WeightJob) => {
  port.postMessage(answer(job));
});

function answer(job: WeightJob): ThreadAnswer {
  try {
    return { type: "done", checksums: run(job) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { type: error instanceof LlavaError ? "damaged" : "failed", message };
  }
}

function report(bytes: number): void {
  port?.postMessage({ type: "progress", bytes } satisfies ThreadAnswer);
}

function run(job: WeightJob): Checksums {
  switch (job.kind) {
    case "quantize":
      return quantizeTensor(job);
    case "copy":
      return copyTensor(job);
    case "checksum":
      return checksum(job);
  }
}

function quantizeTensor({ source, columns, format, blocks, scales }: QuantizeJob): Checksums {
  using input = new InputFile(source.path, source.version);
  using output = new OutputFile(blocks.path);
  const width = BYTES_PER_ELEMENT[source.dtype];
  const rows = source.length / width / columns;
  const rowsAtOnce = Math.max(1, Math.floor(PIECE_BYTES / width / columns));
  const perRow = blocksPerRow(columns, format);
  const bytesPerRow = perRow * bytesPerBlock(format);
  const raw = new Uint8Array(rowsAtOnce * columns * width);
  const floats = new Float32Array(rowsAtOnce * columns);
  const packed = new Uint8Array(rowsAtOnce * bytesPerRow);
  const factors = new Float32Array(rowsAtOnce * perRow);
  let [blockSum, scaleSum] = [0, 0];
  for (let row = 0; row < rows; row += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - row);
    const bytes = raw.subarray(0, count * columns * width);
    input.read(bytes, source.offset + row * columns * width);
    const rowBlocks = packed.subarray(0, count * bytesPerRow);
    const rowScales = factors.subarray(0, count * perRow);
    const values = floats.subarray(0, count * columns);
    widen(bytes, source.dtype, values);
    if (!quantize(values, columns, format, rowBlocks, rowScales)) {
      throw damaged(source.path, `rows ${row} to ${row + count} of a weight hold a value that is not finite`);
    }
    blockSum = crc32(rowBlocks, blockSum);
    output.write(rowBlocks, blocks.offset + row * bytesPerRow);
    const scaleBytes = new Uint8Array(rowScales.buffer, 0, rowScales.byteLength);
    scaleSum = crc32(scaleBytes, scaleSum);
    output.write(scaleBytes, scales.offset + row * perRow * 4);
    report(bytes.length);
  }
  input.requireUnchanged();
  return [blockSum, scaleSum];
}

/** Files have their numbers as memory does; float16.ts has the reason. */
function widen(
  bytes: Uint8Array<ArrayBuffer>,
  dtype: QuantizeJob["source"]["dtype"],
  values: Float32Array,
): void {
  if (dtype === "F32") {
    values.set(new Float32Array(bytes.buffer, bytes.byteOffset, values.length));
    return;
  }
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, values.length);
  (dtype === "F16" ? widenFloat16 : widenBfloat16)(halves, values);
}

function copyTensor({ source, target }: CopyJob): Checksums {
  using input = new InputFile(source.path, source.version);
  using output = new OutputFile(target.path);
  let sum = 0;
  forPieces(source, (piece, at) => {
    input.read(piece, source.offset + at);
    sum = crc32(piece, sum);
    output.write(piece, target.offset + at);
  });
  input.requireUnchanged();
  return [sum];
}

function checksum({ source }: ChecksumJob): Checksums {
  using input = new InputFile(source.path);
  let sum = 0;
  forPieces(source, (piece, at) => {
    input.read(piece, source.offset + at);
    sum = crc32(piece, sum);
  });
  return [sum];
}

function forPieces({ length }: FileRange, work: (piece: Uint8Array, at: number) => void): void {
  const buffer = new Uint8Array(Math.min(length, PIECE_BYTES));
  for (let at = 0; at < length; at += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, length - at));
    work(piece, at);
    report(piece.length);
  }
}

class InputFile implements Disposable {
  readonly #descriptor: number;
  readonly #path: string;
  readonly #version: string | undefined;

  /** With a version, the file must be the one that was opened before, and stay so. */
  constructor(path: string, version?: string) {
    this.#path = path;
    this.#version = version;
    this.#descriptor = openSync(path, constants.O_RDONLY);
    try {
      this.requireUnchanged();
    } catch (error) {
      closeSync(this.#descriptor);
      throw error;
    }
  }

  read(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length;) {
      const count = readSync(this.#descriptor, bytes, done, bytes.length - done, position + done);
      if (count === 0)
        throw damaged(this.#path, `it ends at byte ${position + done}, in the middle of its data`);
      done += count;
    }
  }

  requireUnchanged(): void {
    if (this.#version === undefined || versionOf(fstatSync(this.#descriptor)) === this.#version) return;
    throw damaged(this.#path, "it was written or replaced since the model was opened; load the model again");
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}

class OutputFile implements Disposable {
  readonly #descriptor: number;

  constructor(path: string) {
    this.#descriptor = openSync(path, constants.O_WRONLY);
  }

  write(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length;) {
      done += writeSync(this.#descriptor, bytes, done, bytes.length - done, position + done);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
