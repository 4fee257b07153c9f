/** Checks the options with which a model is loaded, and turns them into those of the runtime, the caches and the weights. */
import type { LoadProgress } from "@llava/backend";
import type { ComputeType } from "@llava/models";
import type { DecodePoolOptions } from "@llava/processing";
import { LlavaError } from "@llava/protocol";
import { type Device, parseDevice, type SessionOptions } from "@llava/runtime";
import { availableMemory } from "../weights/available-memory.ts";
import { WEIGHT_DTYPES, type WeightDType } from "../weights/weight-dtype.ts";
import type { PlacedWeights, WeightOptions } from "../weights/weights.ts";

export interface EngineOptions {
  /** "cpu" (default), "cuda", "cuda:1", "webgpu". */
  readonly device?: string;
  /** Threads of one operator on the CPU; default: the physical cores. */
  readonly threads?: number;
  /** In which numbers the weights are computed with: see `WeightDType`. Default "float32". */
  readonly dtype?: WeightDType;
  /** Type of activations, keys, values and image features. Default "float32", with CUDA "float16". */
  readonly computeType?: ComputeType;
  /** With "int8" and "int4": the vision tower and the projector, too. Default false. */
  readonly quantizesVision?: boolean;
  /** Requests that are answered at once, their tokens computed together. Default 8; with WebGPU always 1. */
  readonly maxRunning?: number;
  /** Most bytes of keys and values, of those that run and those that are remembered. Default: a quarter of the free memory. */
  readonly cacheBytes?: number;
  /** Slots keep what was computed there, for requests that begin alike. Default true. */
  readonly prefixCache?: boolean;
  /** Most bytes of remembered images' features. Default 256 MiB. */
  readonly featureBytes?: number;
  /** Requests that may wait behind `maxRunning` that are admitted; one more is refused with `overloaded`. Default 64. */
  readonly maxWaiting?: number;
  /** Longest time that a request waits to be admitted before it is refused with `overloaded`. Default: no limit. */
  readonly maxWaitMs?: number;
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
  requireWhole("maxWaitMs", options.maxWaitMs ?? 1, 1, MAX_WAIT_MS);
  requireWhole("images.processes", images.processes ?? 1, 1, 64);
  const common = { externalDataFolder: folder, ...(threads === undefined ? {} : { threads }) };
  const session = { ...common, device: deviceOf(device) };
  computeTypeOf(session, options);
  return session;
}

function deviceOf(device: string): Device {
  try {
    return parseDevice(device);
  } catch (cause) {
    throw new LlavaError("invalid_request", cause instanceof Error ? cause.message : String(cause), {
      cause,
    });
  }
}

/** Longest delay of setTimeout, which fires at once beyond it. */
const MAX_WAIT_MS = 2 ** 31 - 1;
/**
 * What each device can compute in, its default first; measured or read from ONNX Runtime 1.30.0. The CPU has no bfloat16
 * kernels of matrix products and attention. CUDA's GroupQueryAttention has float16 and bfloat16 alone.
 */
const COMPUTE_TYPES_OF = {
  cpu: ["float32", "float16"],
  cuda: ["float16", "bfloat16"],
  webgpu: ["float32", "float16"],
} as const satisfies Record<Device["type"], readonly ComputeType[]>;

/** The chosen compute type or the device's default. Throws `invalid_request` for one that the device cannot compute in. */
export function computeTypeOf({ device }: SessionOptions, { computeType }: EngineOptions): ComputeType {
  const type = device?.type ?? "cpu";
  const possible: readonly ComputeType[] = COMPUTE_TYPES_OF[type];
  const chosen = computeType ?? COMPUTE_TYPES_OF[type][0];
  if (possible.includes(chosen)) return chosen;
  throw new LlavaError(
    "invalid_request",
    `The compute type is ${JSON.stringify(chosen)}, but on the device ${type} ONNX Runtime computes in ${possible.join(" or ")} only. Take one of these, or another device.`,
  );
}

const DEFAULT_MAX_RUNNING = 8;
/** Largest maxRunning: the limit of LLaVA's `--limit-model-concurrency`, far beyond what pays. */
const MOST_RUNNING = 1024;
const DEFAULT_FEATURE_BYTES = 256 * 2 ** 20;
const FREE_MEMORY_SHARE = 0.25;

export interface CacheLimits {
  /** Sequences that are computed at once. */
  readonly running: number;
  /** Slots of the KV cache: one for each sequence that runs, and as many that keep prefixes. */
  readonly slots: number;
  readonly keyValueBytes: number;
  readonly featureBytes: number;
}

/** Checked as `sessionOptions` are. A buffer of WebGPU has no address, so that its slots cannot be told apart. */
export async function cacheLimits(options: EngineOptions): Promise<CacheLimits> {
  const isOneSlot = options.device?.startsWith("webgpu") ?? false;
  const running = isOneSlot ? 1 : (options.maxRunning ?? DEFAULT_MAX_RUNNING);
  return {
    running,
    slots: isOneSlot ? 1 : 2 * running,
    keyValueBytes: options.cacheBytes ?? FREE_MEMORY_SHARE * (await availableMemory()),
    featureBytes: options.featureBytes ?? DEFAULT_FEATURE_BYTES,
  };
}

/** Options that were checked by `sessionOptions`. */
export function weightOptions(session: SessionOptions, options: EngineOptions): WeightOptions {
  const { dtype = "float32", quantizesVision = false, onProgress, signal } = options;
  const { device } = session;
  return {
    dtype,
    computeType: computeTypeOf(session, options),
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
