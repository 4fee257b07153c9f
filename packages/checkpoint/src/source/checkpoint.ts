/** A checkpoint is an index of named tensors over one or more folders: the weights stay on disk until asked for. */
import path from "node:path";
import { LlavaError } from "@llava/protocol";
import { indexSafetensors } from "../safetensors/safetensors-folder.ts";
import { damaged, quoted } from "../tensors/damaged.ts";
import { widenBfloat16, widenFloat16 } from "../tensors/float16.ts";
import { isReadable, MAX_TENSORS, type ReadableDType, type TensorEntry } from "../tensors/tensor-entry.ts";
import type { CheckpointFile } from "../tensors/tensor-index.ts";
import { openWeightFile, readFully, type WeightFile } from "../tensors/weight-file.ts";
import { commonFolder } from "./common-folder.ts";

/** Small enough that converting one piece does not hold up the event loop, large enough to be quick. */
const PIECE_BYTES = 1 << 20;

/** A folder of weights. */
export interface CheckpointSource {
  readonly folder: string;
  /** Bare name of one safetensors file to open in place of the folder's weights. */
  readonly file?: string;
  /** The checkpoint's name of a stored tensor, or undefined for one that is left out. Default: the stored name. */
  readonly tensorName?: (stored: string) => string | undefined;
}

export type CheckpointOptions = Omit<CheckpointSource, "folder">;

export class Checkpoint {
  /** The deepest folder that all files lie in, absolute: the one that graphs name them from. */
  readonly folder: string;
  /** The sources' folders, for sentences. */
  readonly #folders: readonly string[];
  readonly #entries: ReadonlyMap<string, TensorEntry>;
  /** The files by path. */
  readonly #files: ReadonlyMap<string, CheckpointFile>;

  private constructor(
    folders: readonly string[],
    entries: ReadonlyMap<string, TensorEntry>,
    files: readonly CheckpointFile[],
  ) {
    this.folder = commonFolder(files.map((file) => path.dirname(file.path)));
    this.#folders = folders;
    this.#entries = entries;
    this.#files = new Map(files.map((file) => [file.path, file]));
  }

  /** `compose` of one folder. */
  static async open(folder: string, options: CheckpointOptions = {}): Promise<Checkpoint> {
    return await Checkpoint.compose([{ folder, ...options }]);
  }

  /**
   * Reads and checks the headers of all sources' files. A tensor of a later source replaces one of the same name.
   * Throws `model_not_found` without a folder and `invalid_checkpoint` for every missing or malformed file.
   */
  static async compose(sources: readonly CheckpointSource[]): Promise<Checkpoint> {
    const entries = new Map<string, TensorEntry>();
    const files: CheckpointFile[] = [];
    for (const { folder, file, tensorName = unchanged } of sources) {
      const index = await indexSafetensors(path.resolve(folder), file);
      files.push(...index.files);
      for (const [name, entry] of named(index.entries, tensorName)) {
        if (entries.size === MAX_TENSORS && !entries.has(name))
          throw damaged(entry.file, `the model has more than ${MAX_TENSORS} tensors`);
        entries.set(name, entry);
      }
    }
    const folders = sources.map(({ folder }) => path.resolve(folder));
    return new Checkpoint(folders, entries, files);
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Throws `invalid_checkpoint` naming the tensor that is missing. */
  get(name: string): TensorEntry {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return entry;
    throw new LlavaError(
      "invalid_checkpoint",
      `The weights in ${this.#folders.join(" and ")} have no tensor ${quoted(name)}. They are incomplete or belong to another config.json; copy the whole folder again from where the model came from.`,
    );
  }

  /** The files of all sources, in their order. */
  files(): CheckpointFile[] {
    return [...this.#files.values()];
  }

  /** The state of the file that holds a tensor, as it was when the checkpoint was opened. */
  fileOf({ file }: TensorEntry): CheckpointFile {
    const known = this.#files.get(file);
    if (known !== undefined) return known;
    throw new Error(`${file} is not a file of this checkpoint.`);
  }

  /** The tensors' names, file by file in the order of the data. */
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
        `Tensor ${quoted(name)} in ${entry.file} is stored as ${dtype}; F32, F16 and BF16 can be read. Take the float16 or bfloat16 version of the model.`,
      );
    }
    await using file = await openWeightFile(path.dirname(entry.file), path.basename(entry.file));
    if (file.version !== this.fileOf(entry).version) {
      throw damaged(file.path, "it was written or replaced since the model was opened; load the model again");
    }
    return await readFloats(file, dtype, entry);
  }
}

function unchanged(stored: string): string {
  return stored;
}

/** The entries of one source under the checkpoint's names: two of one name would hide that another is missing. */
function named(
  entries: readonly TensorEntry[],
  tensorName: (stored: string) => string | undefined,
): ReadonlyMap<string, TensorEntry> {
  const result = new Map<string, TensorEntry>();
  for (const entry of entries) {
    const name = tensorName(entry.name);
    if (name === undefined) continue;
    if (result.has(name))
      throw damaged(
        entry.file,
        `tensor ${quoted(entry.name)} is a second ${quoted(name)} under another name`,
      );
    result.set(name, { ...entry, name });
  }
  return result;
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
