/** What a graph reads of a checkpoint: found by building it, so that no second list of names can disagree with it. */
import type { QuantizedLinear, WeightSource } from "@llava/architecture";
import type { Checkpoint, TensorEntry } from "@llava/checkpoint";

export interface GraphWeights {
  /** Tensors that are read as they are: embeddings, norms, biases. */
  readonly stored: readonly string[];
  /** Matrices that activations are multiplied by. */
  readonly matrices: readonly string[];
  /** Numbers in all of `matrices`. */
  readonly matrixElements: number;
  /** Bytes of `matrices` in the checkpoint's files. */
  readonly matrixBytes: number;
}

/** `build` makes the graph and throws it away. Throws what it throws for a checkpoint of another model. */
export function weightsOf(checkpoint: Checkpoint, build: (weights: WeightSource) => unknown): GraphWeights {
  const stored = new Set<string>();
  const matrices = new Map<string, TensorEntry>();
  build({
    get(name) {
      stored.add(name);
      return checkpoint.get(name);
    },
    blocks(name) {
      const tensor = checkpoint.get(name);
      matrices.set(name, tensor);
      return blocksLike(tensor);
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

/** One block a row, so that the graph's own check of shapes is made; there are no bytes. */
function blocksLike({ shape }: TensorEntry): QuantizedLinear {
  const [rows = 0, columns = 0] = shape;
  const nowhere = { file: "", offset: 0, length: 0 };
  return {
    bits: 8,
    blockSize: columns,
    data: { ...nowhere, dtype: "U8", shape: [rows, 1, columns] },
    scales: { ...nowhere, dtype: "F32", shape: [rows] },
  };
}
