/** The safetensors writer makes a file that exists whole or not at all, in a form that every reader of the format takes. */
import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import path from "node:path";
import { LlavaError } from "@llava/protocol";
import { quoted } from "../tensors/damaged.ts";
import { narrowToBfloat16, narrowToFloat16 } from "../tensors/float16.ts";
import {
  BYTES_PER_ELEMENT,
  MAX_AXES,
  MAX_HEADER_BYTES,
  MAX_TENSORS,
  type TensorEntry,
} from "../tensors/tensor-entry.ts";

export type WritableTensor = FloatTensor | IntegerTensor;

interface FloatTensor {
  readonly name: string;
  /** Type in the file; F16 and BF16 round each value to the nearest, ties to even. */
  readonly dtype: "F32" | "F16" | "BF16";
  readonly shape: readonly number[];
  /** The values, row-major, as many as the shape has. */
  readonly data: Float32Array;
}

interface IntegerTensor {
  readonly name: string;
  readonly dtype: "I64";
  readonly shape: readonly number[];
  readonly data: BigInt64Array;
}

/** The count of values that are converted and written at once. */
const PIECE_VALUES = 1 << 18;

/**
 * Replaces `file` atomically: a reader sees the old file or the new one, also after a crash. `format: "pt"` is what
 * Hugging Face transformers asks of the metadata. Throws `internal` for tensors that no file can hold: a name twice, or
 * values that do not fill the shape.
 */
export async function writeSafetensors(
  file: string,
  tensors: readonly WritableTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  requireWritable(tensors);
  // Wide elements first: with the header a multiple of 8, every tensor is aligned to its own element.
  const ordered = tensors.toSorted((a, b) => BYTES_PER_ELEMENT[b.dtype] - BYTES_PER_ELEMENT[a.dtype]);
  const header = encodeHeader(ordered, { format: "pt", ...metadata });
  const temporary = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeAndSync(temporary, header, ordered);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(path.dirname(file));
}

function requireWritable(tensors: readonly WritableTensor[]): void {
  const names = new Set<string>();
  for (const { name, shape, data } of tensors) {
    if (names.has(name)) throw refused(`tensor ${quoted(name)} was given twice`);
    names.add(name);
    if (name === "__metadata__" || !name.isWellFormed())
      throw refused(`no tensor can be called ${quoted(name)}`);
    const elements = shape.reduce((product, axis) => product * axis, 1);
    const isShape =
      shape.length <= MAX_AXES && shape.every((axis) => Number.isSafeInteger(axis) && axis >= 0);
    if (!isShape || elements !== data.length) {
      throw refused(`tensor ${quoted(name)} has ${data.length} values for the shape [${shape.join(", ")}]`);
    }
  }
  if (names.size > MAX_TENSORS) throw refused(`${names.size} tensors are more than ${MAX_TENSORS}`);
}

function refused(what: string): LlavaError {
  return new LlavaError("internal", `The weights cannot be saved: ${what}.`);
}

/** Length, JSON and as many spaces as make both together a multiple of 8 bytes. The data follows in the order given. */
export function encodeHeader(
  tensors: readonly Pick<TensorEntry, "name" | "dtype" | "shape">[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const parts = [`"__metadata__":${JSON.stringify(metadata)}`];
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    const end = offset + shape.reduce((product, axis) => product * axis, BYTES_PER_ELEMENT[dtype]);
    parts.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [offset, end] })}`);
    offset = end;
  }
  const json = new TextEncoder().encode(`{${parts.join(",")}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > MAX_HEADER_BYTES) throw refused(`their names need a header of ${length} bytes`);
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return header;
}

async function writeAndSync(
  file: string,
  header: Uint8Array,
  tensors: readonly WritableTensor[],
): Promise<void> {
  await using handle = await open(file, "wx");
  await writeFully(handle, header);
  for (const tensor of tensors) {
    for (const piece of encodePieces(tensor)) await writeFully(handle, piece);
  }
  await handle.sync();
}

/** One buffer serves all pieces of a tensor: each must be written before the next is asked for. */
function* encodePieces(tensor: WritableTensor): Generator<Uint8Array, void, undefined> {
  if (tensor.dtype === "F32" || tensor.dtype === "I64") {
    const { buffer, byteOffset, byteLength } = tensor.data;
    yield new Uint8Array(buffer, byteOffset, byteLength);
    return;
  }
  const { data } = tensor;
  const narrow = tensor.dtype === "F16" ? narrowToFloat16 : narrowToBfloat16;
  const piece = new Uint16Array(Math.min(data.length, PIECE_VALUES));
  for (let done = 0; done < data.length; done += piece.length) {
    const source = data.subarray(done, done + piece.length);
    narrow(source, piece);
    yield new Uint8Array(piece.buffer, 0, source.length * 2);
  }
}

/** Writes all of `bytes` at the current position, whatever a single call takes. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(bytes.length - done, 1 << 30));
    done += bytesWritten;
  }
}

/** Makes the rename itself survive a power cut. Windows cannot sync a folder and does not need it. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  await using handle = await open(folder, "r");
  await handle.sync();
}
