// Forward passes for looking at quality while training goes on.
import type { Graph, Tensor } from "@llava/onnx";
import { staticShape } from "@llava/onnx";
import { Session, Value } from "@llava/runtime";
import type { Batch } from "@llava/training";
import type { TrainingState } from "@llava/training";

export class Probe implements Disposable {
  readonly batch: Batch;
  readonly #session: Session;
  readonly #feeds: Readonly<Record<string, Value>>;
  readonly #outputs: readonly string[];

  private constructor(
    session: Session,
    batch: Batch,
    feeds: Readonly<Record<string, Value>>,
    outputs: readonly string[],
  ) {
    this.#session = session;
    this.batch = batch;
    this.#feeds = feeds;
    this.#outputs = outputs;
  }

  /** Compiles `graph`; its parameters read the state's own arrays, its other inputs the arrays of `batch`. */
  static async compile(
    graph: Graph,
    parameters: ReadonlyMap<string, Tensor>,
    state: TrainingState,
  ): Promise<Probe> {
    const session = await Session.load(graph.toBytes());
    const arrays = graph.inputs.map((input) => [input, arrayFor(input, parameters, state)] as const);
    const feeds = Object.fromEntries(
      arrays.map(([input, array]) => [input.name, Value.wrap(input.dtype, array, staticShape(input))]),
    );
    const batch = Object.fromEntries(
      arrays.filter(([input]) => !parameters.has(input.name)).map(([input, array]) => [input.name, array]),
    );
    return new Probe(
      session,
      batch,
      feeds,
      graph.outputs.map((output) => output.name),
    );
  }

  /** Runs on what `batch` holds now; copies of the outputs. */
  async run(): Promise<Readonly<Record<string, Float32Array>>> {
    const outputs = await this.#session.run(this.#feeds, this.#outputs);
    return Object.fromEntries(
      Object.entries(outputs).map(([name, value]) => {
        using owned = value;
        return [name, Float32Array.from(owned.data(), Number)];
      }),
    );
  }

  [Symbol.dispose](): void {
    for (const value of Object.values(this.#feeds)) value[Symbol.dispose]();
    this.#session[Symbol.dispose]();
  }
}

function arrayFor(
  input: Tensor,
  parameters: ReadonlyMap<string, Tensor>,
  state: TrainingState,
): Float32Array | BigInt64Array {
  const size = staticShape(input).reduce((a, b) => a * b, 1);
  if (input.dtype === "int64") return new BigInt64Array(size);
  if (!parameters.has(input.name)) return new Float32Array(size);
  const stored = state.parameters.get(input.name);
  if (!stored) throw new Error(`${input.name} is not in the training state.`);
  return stored.data;
}
