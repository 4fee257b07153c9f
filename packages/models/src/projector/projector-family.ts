/** A projector family is how projectors of one architecture are named and computed. */
import type { ProjectorDescription } from "../description/model-description.ts";
import type { Tensor } from "@llava/onnx";
import type { Operations } from "../operations/operations.ts";

export interface ProjectorFamily {
  /** features [batch, tokens, inputSize] → [batch, tokens, outputSize]. */
  buildGraph(ops: Operations, projector: ProjectorDescription, features: Tensor): Tensor;
  /** Our name of a tensor of LLaVA's mm_projector.bin; undefined for one that is not part of it. */
  tensorName(stored: string): string | undefined;
}

/** The part of a stored name behind LLaVA's "model.mm_projector." or "mm_projector."; undefined for other tensors. */
export function partOfProjector(stored: string): string | undefined {
  return /^(?:model\.)?mm_projector\.(.+)$/.exec(stored)?.[1];
}
