/** Checks the options with which a model is loaded, and turns them into those of the runtime, the caches and the weights. */
import type { DecodePoolOptions } from "@llava/processing";
import { LlavaError } from "@llava/protocol";
import { parseDevice, type SessionOptions } from "@llava/runtime";
import { availableMemory } from "../weights/available-memory.ts";
import {
  type PlacedWeights,
  WEIGHT_DTYPES,
  type WeightDType,
  type WeightOptions,
} from "../weights/weights.ts";

export interface LoadProgress {
  readonly phase: string;
  readonly done: number;
  readonly total: number;
  /** Unit of `done` and `total` while weights are quantized or checked; otherwise they are steps. */
  readonly unit?: "bytes";
}

export interface EngineOptions {
  /** "cpu" (default), "cuda", "cuda:1", "webgpu". */
  readonly device?: string;
  /** Threads of one operator on the CPU; default: the physical cores. */
  readonly threads?: number;
  /** In which numbers the weights are computed with: see `WeightDType`. Default "float32". */
  readonly dtype?: WeightDType;
  /** With "int8" and "int4": the vision tower and the projector, too. Default false. */
  readonly quantizesVision?: boolean;
  /** Requests that are answered at once, their tokens computed together. Default 8; with WebGPU always 1. */
  readonly maxRunning?: number;
  /** Most bytes of keys and values, of those that run and those that are remembered. Default: a quarter of the free memory. */
  readonly cacheBytes?: number;
  /** Rows remember what was computed there, for requests that begin alike. Default true. */
  readonly prefixCache?: boolean;
  /** Most bytes of remembered images' features. Default 256 MiB. */
  readonly featureBytes?: number;
  /** Requests that may wait behind those that run; one more is refused with `overloaded`. Default 64. */
  readonly maxWaiting?: number;
  /** A template of the conversation table, instead of the model's own. */
  readonly conversation?: string;
  /** Processes and limits for decoding images. */
  readonly images?: DecodePoolOptions;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Ends loading; what was made for the cache so far is thrown away. */
  readonly signal?: AbortSignal;
}

/** Checked before anything is read: a wrong flag must not wait for a model. */
export function sessionOptions(folder: string, options: EngineOptions): SessionOptions {
  const { device = "cpu", threads, maxWaiting = 0, images = {} } = options;
  requireDType(options.dtype ?? "float32");
  requireWhole("maxRunning", options.maxRunning ?? 1, 1, MOST_RUNNING);
  requireWhole("cacheBytes", options.cacheBytes ?? 1, 1, Number.MAX_SAFE_INTEGER);
  requireWhole("featureBytes", options.featureBytes ?? 1, 0, Number.MAX_SAFE_INTEGER);
  requireWhole("threads", threads ?? 1, 1, 1024);
  requireWhole("maxWaiting", maxWaiting, 0, 10_000);
  requireWhole("images.processes", images.processes ?? 1, 1, 64);
  const common = { externalDataFolder: folder, ...(threads === undefined ? {} : { threads }) };
  try {
    return { ...common, device: parseDevice(device) };
  } catch (cause) {
    throw new LlavaError("invalid_request", cause instanceof Error ? cause.message : String(cause), {
      cause,
    });
  }
}

const DEFAULT_MAX_RUNNING = 8;
/** Largest maxRunning: the limit of LLaVA's `--limit-model-concurrency`, far beyond what pays. */
const MOST_RUNNING = 1024;
const DEFAULT_FEATURE_BYTES = 256 * 2 ** 20;
const FREE_MEMORY_SHARE = 0.25;

export interface CacheLimits {
  /** Sequences that are computed at once. */
  readonly running: number;
  /** Rows of the KV cache: of those that run, and as many that are remembered. */
  readonly rows: number;
  readonly keyValueBytes: number;
  readonly featureBytes: number;
}

/** Checked as `sessionOptions` are. A buffer of WebGPU has no address, so that its rows cannot be told apart. */
export async function cacheLimits(options: EngineOptions): Promise<CacheLimits> {
  const isOneRow = options.device?.startsWith("webgpu") ?? false;
  const running = isOneRow ? 1 : (options.maxRunning ?? DEFAULT_MAX_RUNNING);
  return {
    running,
    rows: isOneRow ? 1 : 2 * running,
    keyValueBytes: options.cacheBytes ?? FREE_MEMORY_SHARE * (await availableMemory()),
    featureBytes: options.featureBytes ?? DEFAULT_FEATURE_BYTES,
  };
}

/** Options that were checked by `sessionOptions`. */
export function weightOptions({ device }: SessionOptions, options: EngineOptions): WeightOptions {
  const { dtype = "float32", quantizesVision = false, onProgress, signal } = options;
  return {
    dtype,
    quantizesVision,
    isOnCpu: device === undefined || device.type === "cpu",
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(signal === undefined ? {} : { signal }),
  };
}

/** A graph's weights may lie in the cache instead of the model's folder. */
export function inFolderOf({ folder }: PlacedWeights, options: SessionOptions): SessionOptions {
  return { ...options, externalDataFolder: folder };
}

function requireDType(dtype: WeightDType): void {
  if (WEIGHT_DTYPES.includes(dtype)) return;
  throw new LlavaError(
    "invalid_request",
    `dtype is ${JSON.stringify(dtype)}, but it must be one of ${WEIGHT_DTYPES.join(", ")}.`,
  );
}

function requireWhole(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new LlavaError(
    "invalid_request",
    `${name} is ${value}, but it must be a whole number from ${least} to ${most}.`,
  );
}
