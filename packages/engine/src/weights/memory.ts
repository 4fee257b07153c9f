/** Estimates the memory of a loaded model, and refuses one that does not fit before any of its weights are read. */
import { COMPUTE_TYPE_BYTES, type ComputeType, type ModelDescription } from "@llava/models";
import { mostTokens } from "@llava/processing";
import { LlavaError } from "@llava/protocol";
import { availableMemory } from "./available-memory.ts";
import type { GraphWeights } from "./weight-needs.ts";
import type { WeightDType } from "./weight-dtype.ts";

export interface MemoryNeeds {
  readonly model: Pick<ModelDescription, "text" | "vision" | "pixels">;
  readonly encoder: GraphWeights;
  readonly decoder: GraphWeights;
  readonly dtype: WeightDType;
  /** Default "float32". */
  readonly computeType?: ComputeType;
  readonly quantizesVision: boolean;
}

/** Bytes, by what needs them. */
export interface MemoryEstimate {
  readonly dtype: WeightDType;
  readonly languageModel: number;
  readonly visionEncoder: number;
  /** Keys and values of one question about one image. */
  readonly keysAndValues: number;
  /** Node.js, ONNX Runtime, activations. */
  readonly rest: number;
  readonly total: number;
}

/** An estimate that fits into what is free. */
export interface MemoryVerdict {
  readonly estimate: MemoryEstimate;
  /** Bytes that were free. */
  readonly available: number;
}

/**
 * Bytes of one weight in memory: its bits, and for each block of 64 three times four bytes, see weights.ts. int4 and float32
 * are measured, on models of 7B and 1.1B; int8 is by the same sum.
 */
const BYTES_PER_WEIGHT = { int4: 0.72, int8: 1.22, float32: 4 } as const;
/** Tokens of a question and its answer, beside those of the image. */
const TEXT_POSITIONS = 512;
/** Measured on a 1.1B and a 7B model: 120 MB of the process, activations of 577 positions, one widened matrix. */
const REST_BYTES = 400e6;
/** Types of weights, each smaller in memory than the one before, with the flag that asks for it. */
const SMALLER: readonly { readonly dtype: WeightDType; readonly flag: string }[] = [
  { dtype: "float16", flag: "--dtype float16" },
  { dtype: "int8", flag: "--load-8bit" },
  { dtype: "int4", flag: "--load-4bit" },
];

export function estimateMemory({
  model,
  encoder,
  decoder,
  dtype,
  computeType = "float32",
  quantizesVision,
}: MemoryNeeds): MemoryEstimate {
  const { layers, kvHeads, headSize, contextLength } = model.text;
  const imageTokens = mostTokens(model.pixels, model.vision.tokensPerImage);
  const positions = Math.min(contextLength, imageTokens + TEXT_POSITIONS);
  // In half precision nothing stays mapped: the CPU multiplies in float32, with copies that are made at load.
  const kept = (type: WeightDType): WeightDType =>
    type === "float16" && computeType !== "float32" ? "float32" : type;
  const languageModel = weightBytes(decoder, kept(dtype));
  const visionEncoder = weightBytes(
    encoder,
    kept(dtype === "float32" || quantizesVision ? dtype : "float16"),
  );
  const keysAndValues = 2 * layers * kvHeads * headSize * positions * COMPUTE_TYPE_BYTES[computeType];
  const total = languageModel + visionEncoder + keysAndValues + REST_BYTES;
  return { dtype, languageModel, visionEncoder, keysAndValues, rest: REST_BYTES, total };
}

/** Throws `out_of_memory` with the numbers and the flag that would fit. `available` in bytes; default: this machine's. */
export async function requireMemory(needs: MemoryNeeds, available?: number): Promise<MemoryVerdict> {
  const free = available ?? (await availableMemory());
  const estimate = estimateMemory(needs);
  if (estimate.total <= free) return { estimate, available: free };
  throw new LlavaError("out_of_memory", refusal(estimate, free, advice(needs, estimate, free)));
}

function weightBytes({ matrixElements, matrixBytes }: GraphWeights, dtype: WeightDType): number {
  // These pages are mapped from the file and can be given up, but then every run reads them again.
  return dtype === "float16" ? matrixBytes : matrixElements * BYTES_PER_WEIGHT[dtype];
}

function refusal(estimate: MemoryEstimate, free: number, suggestion: string): string {
  const { languageModel, visionEncoder, keysAndValues, rest, total } = estimate;
  return (
    `The model needs about ${gigabytes(total)} of memory (language model ${gigabytes(languageModel)}, vision encoder ` +
    `${gigabytes(visionEncoder)}, keys and values of one question ${gigabytes(keysAndValues)}, other ${gigabytes(rest)}), ` +
    `but ${gigabytes(free)} are free. ${suggestion}`
  );
}

/** The largest that fits: quality is given up only as far as it must be. */
function advice(needs: MemoryNeeds, { total }: MemoryEstimate, free: number): string {
  const smaller = SMALLER.map((choice) => ({
    ...choice,
    total: estimateMemory({ ...needs, dtype: choice.dtype }).total,
  })).filter((choice) => choice.total < total);
  const fitting = smaller.find((choice) => choice.total <= free);
  if (fitting) return `With ${fitting.flag} it needs about ${gigabytes(fitting.total)}.`;
  const least = smaller.at(-1);
  const best = least ? ` Even with ${least.flag} it needs about ${gigabytes(least.total)}.` : "";
  return `Free some memory, or take a smaller model.${best}`;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
