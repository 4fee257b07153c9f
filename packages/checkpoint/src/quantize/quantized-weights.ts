/**
 * Quantized weights are made of a checkpoint once and kept in a file that every process of the machine maps: a file exists
 * whole or not at all, is made by one process at a time, and is checked to the last bit before it is used.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, realpath, rename, rm, stat, statfs } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LlavaError } from "@llava/protocol";
import type { Checkpoint } from "../source/checkpoint.ts";
import { tryLock } from "../cache/file-lock.ts";
import { markUsed, pruneCache } from "../cache/prune-cache.ts";
import {
  blocksName,
  checksumsIn,
  type QuantizationPlan,
  quantizationJobs,
  quantizedHeader,
  quantizedLayout,
  type QuantizedLayout,
  type QuantizedLinear,
  scalesName,
} from "./quantized-layout.ts";
import { syncFolder, writeFully } from "../safetensors/safetensors-writer.ts";
import type { TensorEntry } from "../tensors/tensor-entry.ts";
import { openWeightFile, readFully } from "../tensors/weight-file.ts";
import { runWeightJobs } from "./weight-threads.ts";

export interface QuantizeProgress {
  /** What is done or waited for, fit to be shown: "quantizing", "checking". */
  readonly phase: string;
  readonly done: number;
  readonly total: number;
  /** Unit of the counts; absent while it can only wait. */
  readonly unit?: "bytes";
}

export interface QuantizeOptions {
  /** Folder of such files. It is made when it does not exist. */
  readonly cache: string;
  readonly onProgress?: (progress: QuantizeProgress) => void;
  readonly signal?: AbortSignal | undefined;
  /** Whether a file that looks right is given at once, and its data checked meanwhile: see `isWhole`. Default false. */
  readonly checksMeanwhile?: boolean;
}

/** The tensors of one file, by the checkpoint's names. */
export interface QuantizedWeights {
  /** The folder of `file`, absolute. */
  readonly folder: string;
  /** The one file that all entries name, absolute. */
  readonly file: string;
  /** One of the plan's stored tensors. */
  get(name: string): TensorEntry;
  /** One of the plan's matrices, or undefined. */
  blocks(name: string): QuantizedLinear | undefined;
  /** False when the data was checked meanwhile and is damaged; the file is gone then, so that it will be made again. */
  readonly isWhole: Promise<boolean>;
}

const POLL_MS = 500;
const WAITING = "waiting for another process that quantizes this model";
const DAMAGED = "the cached weights are damaged and are made again";

/**
 * Opens the file of this checkpoint and plan, or makes it: minutes for a large model, with progress. A file that is
 * damaged is made again. Throws `invalid_checkpoint`, `unsupported_model`, `runtime_failure` when the cache cannot be
 * written, and the signal's reason.
 */
export async function openQuantized(
  checkpoint: Checkpoint,
  plan: QuantizationPlan,
  options: QuantizeOptions,
): Promise<QuantizedWeights> {
  const folder = await makeCache(path.resolve(options.cache));
  const layout = quantizedLayout(checkpoint, plan, folder);
  const { file } = layout;
  const checksums = options.checksMeanwhile ? await checksumsOf(file, layout) : null;
  if (checksums !== null) {
    const isWhole = dataIsWhole(file, layout, checksums, options);
    // The error is for the caller that awaits isWhole; one that gave up before does not, and that is no unhandled rejection.
    isWhole.catch(() => {});
    await markUsed(file);
    return weightsOf(layout, plan, isWhole);
  }
  while (!(await isWhole(file, layout, options))) {
    await using lock = await tryLock(`${file}.lock`).catch((cause: unknown) => {
      throw cannotWrite(folder, cause);
    });
    if (lock === null) {
      options.onProgress?.({ phase: WAITING, done: 0, total: 1 });
      await sleep(POLL_MS, undefined, { signal: options.signal });
    } else if (!(await isWhole(file, layout, options))) {
      await make(checkpoint, plan, layout, file, options);
      break;
    }
  }
  await markUsed(file);
  return weightsOf(layout, plan, Promise.resolve(true));
}

/** The real path, as ONNX Runtime compares it. */
async function makeCache(folder: string): Promise<string> {
  try {
    await mkdir(folder, { recursive: true });
    return await realpath(folder);
  } catch (cause) {
    throw cannotWrite(folder, cause);
  }
}

function weightsOf(
  { tensors, file }: QuantizedLayout,
  plan: QuantizationPlan,
  isWhole: Promise<boolean>,
): QuantizedWeights {
  const entries = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return {
    folder: path.dirname(file),
    file,
    isWhole,
    get(name) {
      const entry = entries.get(name);
      if (entry !== undefined) return entry;
      throw new Error(`The quantized weights were made without ${name}.`);
    },
    blocks(name) {
      const format = plan.blocks.get(name);
      const data = entries.get(blocksName(name));
      const scales = entries.get(scalesName(name));
      return format && data && scales && { ...format, data, scales };
    },
  };
}

/** False when it is not there; false, too, when a bit is not what was written: then the progress has the reason. */
async function isWhole(file: string, layout: QuantizedLayout, options: QuantizeOptions): Promise<boolean> {
  if (!(await exists(file))) return false;
  const checksums = await checksumsOf(file, layout);
  if (checksums !== null) return await dataIsWhole(file, layout, checksums, options);
  options.onProgress?.({ phase: DAMAGED, done: 0, total: 1 });
  return false;
}

/** Deletes the file when it is not. */
async function dataIsWhole(
  file: string,
  layout: QuantizedLayout,
  checksums: readonly number[],
  options: QuantizeOptions,
): Promise<boolean> {
  if (await matches(file, layout, checksums, options)) return true;
  options.onProgress?.({ phase: DAMAGED, done: 0, total: 1 });
  await rm(file, { force: true });
  return false;
}

/** Null for a file that is not there or not of this layout. */
async function checksumsOf(file: string, layout: QuantizedLayout): Promise<readonly number[] | null> {
  try {
    return await readChecksums(file, layout);
  } catch (error) {
    if (error instanceof LlavaError && error.code === "invalid_checkpoint") return null;
    throw error;
  }
}

async function readChecksums(file: string, layout: QuantizedLayout): Promise<readonly number[] | null> {
  await using opened = await openWeightFile(path.dirname(file), path.basename(file));
  if (opened.size !== layout.size) return null;
  const header = new Uint8Array(layout.tensors[0]?.offset ?? 0);
  await readFully(opened, header, 0);
  const checksums = checksumsIn(Buffer.from(header).toString("latin1"), layout);
  const isHeader = checksums !== null && Buffer.compare(header, quantizedHeader(layout, checksums)) === 0;
  return isHeader ? checksums : null;
}

async function matches(
  file: string,
  { tensors }: QuantizedLayout,
  checksums: readonly number[],
  options: QuantizeOptions,
): Promise<boolean> {
  const jobs = tensors.map(({ offset, length }) => ({
    kind: "checksum" as const,
    source: { path: file, offset, length },
  }));
  const found = await runWeightJobs(jobs, {
    ...progressOf("checking", jobs, options),
    signal: options.signal,
  });
  return found.every(([sum], index) => sum === checksums[index]);
}

async function make(
  checkpoint: Checkpoint,
  plan: QuantizationPlan,
  layout: QuantizedLayout,
  file: string,
  options: QuantizeOptions,
): Promise<void> {
  const folder = path.dirname(file);
  await pruneCache(folder, layout.size);
  await requireRoom(folder, layout.size);
  const temporary = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await using handle = await open(temporary, "wx").catch((cause: unknown) => {
      throw cannotWrite(folder, cause);
    });
    await handle.truncate(layout.size);
    const work = quantizationJobs(checkpoint, plan, layout, temporary);
    const jobs = work.map(({ job }) => job);
    const sums = await runWeightJobs(jobs, {
      ...progressOf("quantizing", jobs, options),
      signal: options.signal,
    });
    const checksums: number[] = [];
    work.forEach(({ places }, index) => {
      places.forEach((place, part) => (checksums[place] = sums[index]?.[part] ?? 0));
    });
    // Last, so that what a crash leaves has no header at all.
    await writeFully(handle, quantizedHeader(layout, checksums));
    await handle.sync();
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(folder);
}

/** Reports every hundredth of the work. */
function progressOf(
  phase: string,
  jobs: readonly { readonly source: { readonly length: number } }[],
  { onProgress }: QuantizeOptions,
): { onBytes: (bytes: number) => void } {
  const total = jobs.reduce((sum, { source }) => sum + source.length, 0);
  let done = 0;
  let reported = -1;
  const onBytes = (bytes: number): void => {
    done += bytes;
    const percent = Math.floor((100 * done) / total);
    if (percent === reported) return;
    reported = percent;
    onProgress?.({ phase, done, total, unit: "bytes" });
  };
  return { onBytes };
}

async function requireRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= bytes) return;
  throw new LlavaError(
    "runtime_failure",
    `The quantized weights take ${gigabytes(bytes)}, but ${folder} has ${gigabytes(free)} free. Make room, or set LLAVA_CACHE to a folder on another disk.`,
  );
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

function cannotWrite(folder: string, cause: unknown): LlavaError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new LlavaError(
    "runtime_failure",
    `The quantized weights cannot be kept in ${folder} (${reason}). Set LLAVA_CACHE to a folder that you may write to.`,
    { cause },
  );
}

async function exists(file: string): Promise<boolean> {
  return await stat(file).then(
    () => true,
    () => false,
  );
}
