/** Estimates the memory of a model from its folder alone: configuration and headers are read, weights are not. */
import { Checkpoint, type CheckpointSource } from "@llava/checkpoint";
import {
  type ComputeType,
  decoderGraph,
  encoderGraph,
  type ModelDescription,
  openModelFolder,
} from "@llava/models";
import { type MemoryVerdict, requireMemory } from "./memory.ts";
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
 * Reads config.json and the headers of the weights, never the weights. Throws `out_of_memory` with the sentence that
 * `Engine.load` on the CPU would throw, and what that throws for a folder that cannot be loaded. `available` is in bytes;
 * default: what this process may still take.
 */
export async function requireModelMemory(
  folder: string,
  { dtype = "float32", computeType = "float32", quantizesVision = false }: MemoryOptions = {},
  available?: number,
): Promise<MemoryVerdict> {
  const { description: model, weights } = await openModelFolder(folder);
  const { encoder, decoder } = await readModelParts(weights, model);
  return await requireMemory({ model, encoder, decoder, dtype, computeType, quantizesVision }, available);
}
