/** A checkpoint whose weights are not what its configuration says: apart from mistakes in building a graph (GraphError). */

export class WeightError extends Error {
  override readonly name = "WeightError";
  /** "shape": the files contradict each other; "dtype": well formed, but not built here. */
  readonly kind: "shape" | "dtype";

  constructor(kind: "shape" | "dtype", message: string) {
    super(message);
    this.kind = kind;
  }
}
