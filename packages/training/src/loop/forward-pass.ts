/** A forward pass runs a graph over the weights of a run as they are, to look at their quality while training goes on. */
import type { Graph, Tensor } from "@llava/onnx";
import { Session, Value } from "@llava/runtime";
import { type Batch, BatchBuffer } from "../data/batch-buffer.ts";
import type { TrainingState } from "../state/training-state.ts";

export class ForwardPass implements Disposable {
  /** The arrays that the next run reads: one for each input of the graph that is no parameter. */
  readonly batch: Batch;
  readonly #session: Session;
  readonly #buffer: BatchBuffer;
  readonly #parameters: Readonly<Record<string, Value>>;

  private constructor(session: Session, buffer: BatchBuffer, parameters: Readonly<Record<string, Value>>) {
    this.#session = session;
    this.#buffer = buffer;
    this.#parameters = parameters;
    this.batch = buffer.arrays;
  }

  /** Compiles `graph` on the state's device; its parameters are the state's own values, which are not copied. */
  static async compile(
    graph: Graph,
    parameters: ReadonlyMap<string, Tensor>,
    state: TrainingState,
  ): Promise<ForwardPass> {
    const session = await Session.load(graph.toBytes(), { device: state.device });
    const [weights, data] = [true, false].map((isWeight) =>
      graph.inputs.filter(({ name }) => parameters.has(name) === isWeight),
    );
    const values = Object.fromEntries((weights ?? []).map(({ name }) => [name, state.value(name)]));
    return new ForwardPass(session, new BatchBuffer(data ?? []), values);
  }

  /** Runs on what `batch` holds now; copies of the outputs, by name. */
  async run(): Promise<Readonly<Record<string, Float32Array>>> {
    const feeds = { ...this.#parameters, ...this.#buffer.feeds };
    const outputs = await this.#session.run(feeds, this.#session.outputs);
    return Object.fromEntries(
      Object.entries(outputs).map(([name, value]) => {
        using owned = value;
        return [name, Float32Array.from(owned.data(), Number)];
      }),
    );
  }

  [Symbol.dispose](): void {
    this.#buffer[Symbol.dispose]();
    this.#session[Symbol.dispose]();
  }
}
