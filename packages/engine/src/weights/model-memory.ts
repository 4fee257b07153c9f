/** Estimates the memory of a model from its folder alone: configuration and headers are read, weights are not. */
import { Checkpoint, type CheckpointSource } from "@llava/checkpoint";
import {
  type ComputeType,
  decoderGraph,
  encoderGraph,
  type ModelDescription,
  openModelFolder,
} from "@llava/models";
import { availableMemory } from "./available-memory.ts";
import { estimateMemory, type MemoryEstimate, type MemoryNeeds, requireMemory } from "./memory.ts";
import type { WeightDType } from "./weight-dtype.ts";
import { type GraphWeights, weightsOf } from "./weight-needs.ts";

export interface MemoryOptions {
  /** Default "float32", as of `Engine.load`. */
  readonly dtype?: WeightDType;
  /** Default "float32". */
  readonly computeType?: ComputeType;
  /** Whether the vision tower and the projector are in blocks, too; default false. */
  readonly quantizesVision?: boolean;
}

/** The weights of a model, and which of them its two graphs read. */
export interface ModelParts {
  readonly checkpoint: Checkpoint;
  readonly encoder: GraphWeights;
  readonly decoder: GraphWeights;
}

/** Opens the headers of all weight files and builds both graphs, to see which tensors they read. */
export async function readModelParts(
  sources: readonly CheckpointSource[],
  model: ModelDescription,
): Promise<ModelParts> {
  const checkpoint = await Checkpoint.compose(sources);
  return {
    checkpoint,
    encoder: weightsOf(checkpoint, (source) => encoderGraph(model, source)),
    decoder: weightsOf(checkpoint, (source) => decoderGraph(model, source)),
  };
}

/**
 * The memory that `Engine.load(folder, options)` needs on the CPU, bytes, and what is free now. Throws what
 * `Engine.load` throws for a folder that is no model, and `out_of_memory` with the same sentence where it does not fit.
 */
export async function requireModelMemory(
  folder: string,
  options: MemoryOptions = {},
): Promise<{ readonly estimate: MemoryEstimate; readonly free: number }> {
  const { description, weights } = await openModelFolder(folder);
  const { encoder, decoder } = await readModelParts(weights, description);
  const { dtype = "float32", computeType = "float32", quantizesVision = false } = options;
  const needs: MemoryNeeds = { model: description, encoder, decoder, dtype, computeType, quantizesVision };
  const free = await availableMemory();
  await requireMemory(needs, free);
  return { estimate: estimateMemory(needs), free };
}
