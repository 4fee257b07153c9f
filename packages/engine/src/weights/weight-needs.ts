/** The weights that a graph needs are found by building it, so that no second list of names can disagree with it. */
import type { WeightSource } from "@llava/models";
import type { Checkpoint, TensorEntry } from "@llava/checkpoint";

export interface GraphWeights {
  /** Tensors that are read as they are: embeddings, norms, biases. */
  readonly stored: readonly string[];
  /** Matrices that activations are multiplied by. */
  readonly matrices: readonly string[];
  /** Count of numbers in all of `matrices`. */
  readonly matrixElements: number;
  /** Size of `matrices` in the checkpoint's files, bytes. */
  readonly matrixBytes: number;
}

/** `build` makes the graph, which is dropped. Throws what `build` throws for a checkpoint of another model. */
export function weightsOf(checkpoint: Checkpoint, build: (weights: WeightSource) => unknown): GraphWeights {
  const stored = new Set<string>();
  const matrices = new Map<string, TensorEntry>();
  build({
    // A tied embedding is looked up in before it is multiplied by: it is among both.
    get(name) {
      if (!matrices.has(name)) stored.add(name);
      return checkpoint.get(name);
    },
    // None: the graph goes on to read the matrix itself, and checks its shape.
    blocks(name) {
      matrices.set(name, checkpoint.get(name));
      return undefined;
    },
  });
  const tensors = [...matrices.values()];
  return {
    stored: [...stored],
    matrices: [...matrices.keys()],
    matrixElements: tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
    matrixBytes: tensors.reduce((sum, { length }) => sum + length, 0),
  };
}
