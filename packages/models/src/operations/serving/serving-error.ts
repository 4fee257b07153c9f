/** The error of a model that cannot be served although its graph could be built; a graph that is built wrongly is a GraphError. */

export class ServingError extends Error {
  override readonly name = "ServingError";
  /** "mismatch": the model's files contradict each other; "unsupported": well formed, but not built here. */
  readonly kind: "mismatch" | "unsupported";

  constructor(kind: "mismatch" | "unsupported", message: string) {
    super(message);
    this.kind = kind;
  }
}
