/** How a model is to be loaded: what may be chosen, and what of it the runtime is told. */
import type { PicturePoolOptions } from "@llava/model";
import { LlavaError } from "@llava/protocol";
import { parseDevice, type SessionOptions } from "@llava/runtime";

export interface LoadProgress {
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

export interface EngineOptions {
  /** "cpu" (default), "cuda", "cuda:1", "webgpu". */
  readonly device?: string;
  /** Threads of one operator on the CPU; default: the physical cores. */
  readonly threads?: number;
  /** Requests that may wait behind those that run; one more is refused with `overloaded`. Default 64. */
  readonly maxWaiting?: number;
  /** A template of the conversation table, instead of the model's own. */
  readonly conversation?: string;
  /** How strangers' pictures are decoded. */
  readonly pictures?: PicturePoolOptions;
  readonly onProgress?: (progress: LoadProgress) => void;
}

/** Checked before anything is read: a wrong flag must not wait for a model. */
export function sessionOptions(
  folder: string,
  { device = "cpu", threads, maxWaiting = 0, pictures = {} }: EngineOptions,
): SessionOptions {
  requireWhole("threads", threads ?? 1, 1, 1024);
  requireWhole("maxWaiting", maxWaiting, 0, 10_000);
  requireWhole("pictures.processes", pictures.processes ?? 1, 1, 64);
  const common = { externalDataFolder: folder, ...(threads === undefined ? {} : { threads }) };
  try {
    return { ...common, device: parseDevice(device) };
  } catch (cause) {
    throw new LlavaError("invalid_request", cause instanceof Error ? cause.message : String(cause), {
      cause,
    });
  }
}

function requireWhole(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new LlavaError(
    "invalid_request",
    `${name} is ${value}, but it must be a whole number from ${least} to ${most}.`,
  );
}
