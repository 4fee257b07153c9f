/** ServingError reports a model that cannot be served; a mistake in building a graph is a GraphError instead. */

export class ServingError extends Error {
  override readonly name = "ServingError";
  /** "mismatch": the model's files contradict each other; "unsupported": well formed, but not built here. */
  readonly kind: "mismatch" | "unsupported";

  constructor(kind: "mismatch" | "unsupported", message: string) {
    super(message);
    this.kind = kind;
  }
}
