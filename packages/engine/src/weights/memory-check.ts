/** Finds out from the headers of a model's files whether it will fit into memory, exactly as loading it does. */
import { Checkpoint } from "@llava/checkpoint";
import { decoderGraph, encoderGraph, openModelFolder } from "@llava/models";
import { requireMemory, type MemoryNeeds, type MemoryVerdict } from "./memory.ts";
import { weightsOf } from "./weight-needs.ts";

export interface ModelMemoryOptions {
  /** Default "float32", as of `Engine.load`. */
  readonly dtype?: MemoryNeeds["dtype"];
  readonly quantizesVision?: boolean;
}

/**
 * Reads config.json and the headers of the weights, never the weights. Throws `out_of_memory` with the sentence that
 * `Engine.load` on the CPU would throw, and what that throws for a folder that cannot be loaded. `available` is in bytes;
 * default: what this process may still take.
 */
export async function requireModelMemory(
  folder: string,
  { dtype = "float32", quantizesVision = false }: ModelMemoryOptions = {},
  available?: number,
): Promise<MemoryVerdict> {
  const { description: model } = await openModelFolder(folder);
  const checkpoint = await Checkpoint.open(folder);
  const encoder = weightsOf(checkpoint, (source) => encoderGraph(model, source));
  const decoder = weightsOf(checkpoint, (source) => decoderGraph(model, source));
  return await requireMemory({ model, encoder, decoder, dtype, quantizesVision }, available);
}
