/** An index of named tensors over the safetensors files of a model folder: the weights stay on disk until asked for. */
import { createHash } from "node:crypto";
import { lstat } from "node:fs/promises";
import path from "node:path";
import { LlavaError } from "@llava/protocol";
import { damaged, quoted } from "../tensors/damaged.ts";
import { widenBfloat16, widenFloat16 } from "../tensors/float16.ts";
import { type HeaderTensor, parseHeader } from "./safetensors-header.ts";
import { parseShardIndex, type ShardIndex } from "./shard-index.ts";
import {
  isReadable,
  MAX_HEADER_BYTES,
  MAX_TENSORS,
  type ReadableDType,
  type TensorEntry,
} from "../tensors/tensor-entry.ts";
import { canonicalTensorName } from "../tensors/tensor-names.ts";
import { openWeightFile, readFully, type WeightFile } from "../tensors/weight-file.ts";

const SINGLE_FILE = "model.safetensors";
const INDEX_FILE = "model.safetensors.index.json";
/** Small enough that converting one piece does not hold up the event loop, large enough to be quick. */
const PIECE_BYTES = 1 << 20;

export interface CheckpointOptions {
  /** Bare name of one safetensors file to open in place of the folder's weights. */
  readonly file?: string;
}

/** One file of weights, as it was when the model was opened. */
export interface CheckpointFile {
  /** Bare name inside the checkpoint's folder. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Unix time. */
  readonly modifiedMs: number;
  /** SHA-256 of the header, hex: what the file says that it holds. */
  readonly headerHash: string;
  /** Equal for two openings unless the file was replaced or written in between. */
  readonly version: string;
}

export class Checkpoint {
  /** Absolute path. */
  readonly folder: string;
  readonly #entries: ReadonlyMap<string, TensorEntry>;
  /** By name. */
  readonly #files: ReadonlyMap<string, CheckpointFile>;

  private constructor(folder: string, index: FolderIndex) {
    this.folder = folder;
    this.#entries = index.entries;
    this.#files = index.files;
  }

  /**
   * Reads and checks the headers of model.safetensors, or of all shards that model.safetensors.index.json lists.
   * Throws `model_not_found` without a folder and `invalid_checkpoint` for every missing or malformed file.
   */
  static async open(folder: string, options: CheckpointOptions = {}): Promise<Checkpoint> {
    const absolute = path.resolve(folder);
    const single = options.file ?? (await findSingleFile(absolute));
    const index = single === null ? await indexShards(absolute) : await indexFile(absolute, single);
    return new Checkpoint(absolute, index);
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** `name` is canonical. Throws `invalid_checkpoint` naming the tensor that is missing. */
  get(name: string): TensorEntry {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return entry;
    throw new LlavaError(
      "invalid_checkpoint",
      `The weights in ${this.folder} have no tensor ${quoted(name)}. They are incomplete or belong to another config.json; copy the whole folder again from where the model came from.`,
    );
  }

  /** The files that hold the tensors. */
  files(): CheckpointFile[] {
    return [...this.#files.values()];
  }

  /** Canonical names, file by file in the order of the data. */
  names(): string[] {
    return [...this.#entries.keys()];
  }

  /**
   * The values of a tensor in row-major order, exactly, as a new array of its own. Throws `unsupported_model` when they
   * are not stored as F32, F16 or BF16, and `invalid_checkpoint` when the file changed after opening.
   */
  async read(name: string): Promise<Float32Array<ArrayBuffer>> {
    const entry = this.get(name);
    const { dtype } = entry;
    if (!isReadable(dtype)) {
      throw new LlavaError(
        "unsupported_model",
        `Tensor ${quoted(name)} in ${path.join(this.folder, entry.file)} is stored as ${dtype}; F32, F16 and BF16 can be read. Take the float16 or bfloat16 version of the model.`,
      );
    }
    await using file = await openWeightFile(this.folder, entry.file);
    if (file.version !== this.#files.get(entry.file)?.version) {
      throw damaged(file.path, "it was written or replaced since the model was opened; load the model again");
    }
    return await readFloats(file, dtype, entry);
  }
}

interface FolderIndex {
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly files: ReadonlyMap<string, CheckpointFile>;
}

/** The name of the only file, or null when the folder has an index of shards. */
async function findSingleFile(folder: string): Promise<string | null> {
  if (await exists(path.join(folder, SINGLE_FILE))) return SINGLE_FILE;
  if (await exists(path.join(folder, INDEX_FILE))) return null;
  if (!(await exists(folder))) {
    throw new LlavaError("model_not_found", `There is no folder ${folder}. Give the path of a model folder.`);
  }
  throw new LlavaError(
    "invalid_checkpoint",
    `${folder} has neither ${SINGLE_FILE} nor ${INDEX_FILE}. Give a model folder whose weights are stored as safetensors.`,
  );
}

async function exists(file: string): Promise<boolean> {
  return await lstat(file).then(
    () => true,
    () => false,
  );
}

async function indexFile(folder: string, name: string): Promise<FolderIndex> {
  const { tensors, path, file } = await readHeader(folder, name);
  const entries = new Map<string, TensorEntry>();
  for (const tensor of tensors) addEntry(path, entries, name, tensor);
  return { entries, files: new Map([[name, file]]) };
}

async function indexShards(folder: string): Promise<FolderIndex> {
  const { path, shards } = await readShardIndex(folder);
  const entries = new Map<string, TensorEntry>();
  const files = new Map<string, CheckpointFile>();
  const found = new Set<string>();
  for (const file of [...new Set(shards.values())].sort()) {
    const header = await readHeader(folder, file);
    files.set(file, header.file);
    // What the index does not give to this file is no part of the model.
    const own = header.tensors.filter(({ name }) => shards.get(name) === file);
    for (const tensor of own) {
      addEntry(header.path, entries, file, tensor);
      found.add(tensor.name);
    }
  }
  requireAll(path, shards, found);
  return { entries, files };
}

/** By stored names: two of them may be one canonical name, and then one tensor would hide that the other is missing. */
function requireAll(path: string, shards: ShardIndex, found: ReadonlySet<string>): void {
  for (const [name, file] of shards) {
    if (found.has(name)) continue;
    throw damaged(path, `it puts tensor ${quoted(name)} into ${file}, which does not hold it`);
  }
}

function addEntry(path: string, entries: Map<string, TensorEntry>, file: string, tensor: HeaderTensor): void {
  const name = canonicalTensorName(tensor.name);
  if (entries.has(name)) {
    throw damaged(path, `tensor ${quoted(tensor.name)} is a second ${quoted(name)} under another name`);
  }
  if (entries.size === MAX_TENSORS) throw damaged(path, `the model has more than ${MAX_TENSORS} tensors`);
  const { dtype, shape, offset, length } = tensor;
  entries.set(name, { name, dtype, shape, file, offset, length });
}

async function readShardIndex(folder: string): Promise<{ path: string; shards: ShardIndex }> {
  await using file = await openWeightFile(folder, INDEX_FILE);
  if (file.size > MAX_HEADER_BYTES) {
    throw damaged(file.path, `it is ${file.size} bytes long; such a file has at most ${MAX_HEADER_BYTES}`);
  }
  return { path: file.path, shards: parseShardIndex(file.path, await readText(file, 0, file.size)) };
}

async function readHeader(
  folder: string,
  name: string,
): Promise<{ path: string; file: CheckpointFile; tensors: HeaderTensor[] }> {
  await using file = await openWeightFile(folder, name);
  const { path, size, version, modifiedMs } = file;
  if (size < 8) throw damaged(path, `it is ${size} bytes long, too short for a header`);
  const prefix = new Uint8Array(8);
  await readFully(file, prefix, 0);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(size - 8) || length > BigInt(MAX_HEADER_BYTES)) {
    throw damaged(
      path,
      `it claims a header of ${length} bytes, but ${Math.min(size - 8, MAX_HEADER_BYTES)} is the most that it can have`,
    );
  }
  const start = 8 + Number(length);
  const text = await readText(file, 8, Number(length));
  const tensors = parseHeader(path, text, { start, end: size });
  const headerHash = createHash("sha256").update(text).digest("hex");
  return { path, file: { name, size, modifiedMs, headerHash, version }, tensors };
}

async function readText(file: WeightFile, position: number, length: number): Promise<string> {
  const bytes = new Uint8Array(length);
  await readFully(file, bytes, position);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw damaged(file.path, "its text is not UTF-8", cause);
  }
}

async function readFloats(
  file: WeightFile,
  dtype: ReadableDType,
  { offset, length }: TensorEntry,
): Promise<Float32Array<ArrayBuffer>> {
  if (dtype === "F32") {
    const values = new Float32Array(length / 4);
    await readFully(file, new Uint8Array(values.buffer), offset);
    return values;
  }
  const widen = dtype === "F16" ? widenFloat16 : widenBfloat16;
  const values = new Float32Array(length / 2);
  const piece = new Uint16Array(Math.min(length, PIECE_BYTES) / 2);
  for (let done = 0; done < values.length; done += piece.length) {
    const source = piece.subarray(0, values.length - done);
    await readFully(file, new Uint8Array(source.buffer, 0, source.byteLength), offset + done * 2);
    widen(source, values.subarray(done, done + source.length));
  }
  return values;
}
