/** The weights of a model are opened here: a checkpoint's own files, or blocks of integers made of them once. */
import path from "node:path";
import type { ComputeType, ModelDescription, WeightSource } from "@llava/models";
import {
  type BlockFormat,
  cacheFolder,
  type CheckpointSource,
  openQuantized,
  type QuantizationPlan,
  type QuantizeProgress,
} from "@llava/checkpoint";
import { requireMemory } from "./memory.ts";
import { readModelParts } from "./model-memory.ts";
import type { WeightDType } from "./weight-dtype.ts";
import type { GraphWeights } from "./weight-needs.ts";

export interface WeightOptions {
  readonly dtype: WeightDType;
  /** Type of activations, keys and values; only in "float32", the default, do weights stay mapped on the CPU. */
  readonly computeType?: ComputeType;
  /** Whether the vision tower and the projector are in blocks, too. */
  readonly quantizesVision?: boolean;
  /** Whether the graphs run on the CPU; default true. Other devices have memory of their own, and nothing stays mapped. */
  readonly isOnCpu?: boolean;
  readonly onProgress?: (progress: QuantizeProgress) => void;
  readonly signal?: AbortSignal;
}

/** What one graph reads. */
export interface PlacedWeights {
  readonly source: WeightSource;
  /** The folder from which the graph names its files. */
  readonly folder: string;
  /** Paths of the files that may be mapped into memory. */
  readonly files: readonly string[];
}

export interface ModelWeights {
  readonly encoder: PlacedWeights;
  readonly decoder: PlacedWeights;
  /** Resolves to false when the cache was found damaged while it was loaded: then load again, and it will be made again. */
  readonly isWhole: Promise<boolean>;
}

/**
 * 64 weights share a scale. In memory each scale costs the kernel 12 bytes (its own copy, the file's page, a sum for
 * each block): with blocks of 32, as llama.cpp's Q4_0 has them, a 7B model takes 6.9 GB, with 64 less than 6, and what
 * that costs in agreement is in scripts/bench/precision/results.md.
 */
const BLOCK_SIZE = 64;
const FORMATS = {
  int4: { bits: 4, blockSize: BLOCK_SIZE },
  int8: { bits: 8, blockSize: BLOCK_SIZE },
  /** Small beside the rest, so that finer blocks cost nothing. */
  head: { bits: 8, blockSize: 32 },
} as const satisfies Record<string, BlockFormat>;

/**
 * The head decides between tokens whose logits are close, and nothing after it evens its errors out: it gets 8 bits
 * where the rest has 4, for 2 % more bytes at 7B. The embedding is not multiplied by but looked up in: it stays as
 * stored, and only the rows of the tokens in use are ever read from its file. Tied weights are kept in both forms.
 */
const HEAD = /^language_model\.(lm_head|model\.embed_tokens)\.weight$/;

/**
 * Tokens of an image from which widening a matrix in every run is lost beside multiplying by it: CLIP-L with 577 rows
 * takes 3.1 s either way, but is loaded in 0.2 s instead of 4.8 and keeps 0.6 GB mapped instead of 1.3 GB of its own.
 */
const MIN_ROWS_FOR_LAZY_CAST = 256;

/**
 * Opens the weights, after a look at whether they will fit: throws `out_of_memory` with the numbers and the flag that
 * helps. Quantized ones are made on the first call and kept in the cache folder; see `openQuantized` for its errors.
 */
export async function loadWeights(
  sources: readonly CheckpointSource[],
  model: ModelDescription,
  {
    dtype,
    computeType = "float32",
    quantizesVision = false,
    isOnCpu = true,
    onProgress,
    signal,
  }: WeightOptions,
): Promise<ModelWeights> {
  const { checkpoint, encoder, decoder } = await readModelParts(sources, model);
  if (isOnCpu) await requireMemory({ model, encoder, decoder, dtype, computeType, quantizesVision });
  // In half precision ONNX Runtime adds the casts to float32 that the CPU's products need. Of weights that may not be
  // folded it puts them before all else, so that a run would hold every matrix in float32 at once.
  const canStayMapped = isOnCpu && computeType === "float32";
  const stored = (castWeights: "at-load" | "per-run"): PlacedWeights => ({
    source: {
      folder: checkpoint.folder,
      get: (name) => checkpoint.get(name),
      castWeights: canStayMapped ? castWeights : "at-load",
    },
    folder: checkpoint.folder,
    files: checkpoint.files().map((file) => file.path),
  });
  const isLargeTower = model.vision.tokensPerImage >= MIN_ROWS_FOR_LAZY_CAST;
  const storedEncoder = stored(dtype === "float32" && !isLargeTower ? "at-load" : "per-run");
  if (dtype === "float32" || dtype === "float16") {
    const decoder = stored(dtype === "float32" ? "at-load" : "per-run");
    return { encoder: storedEncoder, decoder, isWhole: Promise.resolve(true) };
  }
  const parts = quantizesVision ? [encoder, decoder] : [decoder];
  const quantized = await openQuantized(checkpoint, quantizationPlan(parts, dtype), {
    cache: path.join(cacheFolder(), "quantized"),
    signal,
    // ONNX Runtime packs with one thread: another has time to read along.
    checksMeanwhile: true,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  const inBlocks = { source: quantized, folder: quantized.folder, files: [quantized.file] };
  return {
    encoder: quantizesVision ? inBlocks : storedEncoder,
    decoder: inBlocks,
    isWhole: quantized.isWhole,
  };
}

/** The plan holds all that the graphs read, so that they read one file. */
function quantizationPlan(parts: readonly GraphWeights[], dtype: "int4" | "int8"): QuantizationPlan {
  const matrices = parts.flatMap((part) => part.matrices);
  return {
    stored: [...new Set(parts.flatMap((part) => part.stored))],
    blocks: new Map(matrices.map((name) => [name, HEAD.test(name) ? FORMATS.head : FORMATS[dtype]])),
  };
}
