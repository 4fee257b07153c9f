/** A safetensors folder is indexed here: which tensors lie where in its files, from their headers alone. */
import { createHash } from "node:crypto";
import { lstat, realpath } from "node:fs/promises";
import path from "node:path";
import { LlavaError } from "@llava/protocol";
import { damaged, quoted } from "../tensors/damaged.ts";
import type { CheckpointFile, TensorIndex } from "../tensors/tensor-index.ts";
import { MAX_HEADER_BYTES, type TensorEntry } from "../tensors/tensor-entry.ts";
import { openWeightFile, readFully, type WeightFile } from "../tensors/weight-file.ts";
import { type HeaderTensor, parseHeader } from "./safetensors-header.ts";
import { parseShardIndex, type ShardIndex } from "./shard-index.ts";

const SINGLE_FILE = "model.safetensors";
const INDEX_FILE = "model.safetensors.index.json";

/**
 * Reads and checks the headers of `file`, or else of model.safetensors, or of all shards that
 * model.safetensors.index.json lists. `folder` is absolute. Throws `model_not_found` without a folder and
 * `invalid_checkpoint` for every missing or malformed file.
 */
export async function indexSafetensors(folder: string, file?: string): Promise<TensorIndex> {
  const single = file ?? (await findSingleFile(folder));
  return single === null ? await indexShards(folder) : await indexFile(folder, single);
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

async function indexFile(folder: string, name: string): Promise<TensorIndex> {
  const { tensors, file } = await readHeader(folder, name);
  return { entries: tensors.map((tensor) => entryOf(file, tensor)), files: [file] };
}

async function indexShards(folder: string): Promise<TensorIndex> {
  const { path, shards } = await readShardIndex(folder);
  const entries: TensorEntry[] = [];
  const files: CheckpointFile[] = [];
  for (const name of [...new Set(shards.values())].sort()) {
    const { tensors, file } = await readHeader(folder, name);
    files.push(file);
    // What the index does not give to this file is no part of the model.
    const own = tensors.filter((tensor) => shards.get(tensor.name) === name);
    entries.push(...own.map((tensor) => entryOf(file, tensor)));
  }
  requireAll(path, shards, new Set(entries.map(({ name }) => name)));
  return { entries, files };
}

function requireAll(path: string, shards: ShardIndex, found: ReadonlySet<string>): void {
  for (const [name, file] of shards) {
    if (found.has(name)) continue;
    throw damaged(path, `it puts tensor ${quoted(name)} into ${file}, which does not hold it`);
  }
}

function entryOf({ path }: CheckpointFile, tensor: HeaderTensor): TensorEntry {
  return { ...tensor, file: path };
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
): Promise<{ file: CheckpointFile; tensors: HeaderTensor[] }> {
  await using file = await openWeightFile(folder, name);
  const { path: listed, size, version, modifiedMs } = file;
  if (size < 8) throw damaged(listed, `it is ${size} bytes long, too short for a header`);
  const prefix = new Uint8Array(8);
  await readFully(file, prefix, 0);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(size - 8) || length > BigInt(MAX_HEADER_BYTES)) {
    throw damaged(
      listed,
      `it claims a header of ${length} bytes, but ${Math.min(size - 8, MAX_HEADER_BYTES)} is the most that it can have`,
    );
  }
  const start = 8 + Number(length);
  const text = await readText(file, 8, Number(length));
  const tensors = parseHeader(listed, text, { start, end: size });
  const headerHash = createHash("sha256").update(text).digest("hex");
  // ONNX Runtime follows links, and refuses a file that then lies outside the folder that it was given.
  const real = path.join(await realpath(folder), name);
  return { file: { path: real, name, size, modifiedMs, headerHash, version }, tensors };
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
