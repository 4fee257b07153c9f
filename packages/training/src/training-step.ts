/** One compiled training step: forward, backward, clip and AdamW in a single graph, updating the state in place. */
import { type Graph, matrixFlops, staticShape, type Tensor } from "@llava/onnx";
import { type Binding, Session, Value } from "@llava/runtime";
import { type AdamWOptions, appendAdamW, OPTIMIZER_IO } from "./adamw.ts";
import type { TrainingState } from "./training-state.ts";

/**
 * How long an idle thread of the runtime spins before it sleeps. A step is thousands of small operators back to back:
 * with serving's 50 µs the waking alone cost a quarter of the demo's instruction step (1.67 s against 1.25 s).
 */
const SPIN_MICROSECONDS = "2000";

export interface StepResult {
  readonly loss: number;
  readonly gradientNorm: number;
}

/** A batch: one value per data input of the graph. */
export type Feeds = Readonly<Record<string, Value>>;

export class TrainingStep implements Disposable {
  /** Floating-point operations of the matrix products of one step. */
  readonly flops: number;
  readonly #session: Session;
  readonly #binding: Binding;
  readonly #options: AdamWOptions;
  readonly #values: Value[] = [];
  readonly #scalars = {
    learningRate: new Float32Array(1),
    meanCorrection: new Float32Array(1),
    varianceCorrection: new Float32Array(1),
    loss: new Float32Array(1),
    gradientNorm: new Float32Array(1),
  };

  private constructor(session: Session, flops: number, options: AdamWOptions) {
    this.#session = session;
    this.#binding = session.bind();
    this.flops = flops;
    this.#options = options;
  }

  /**
   * Compiles the step for `graph`, whose `loss` depends on `parameters`. Those of `trained` are updated in the state's
   * own arrays; the others stay as they are.
   */
  static async compile(
    graph: Graph,
    loss: Tensor,
    parameters: readonly Tensor[],
    trained: readonly Tensor[],
    state: TrainingState,
    options: AdamWOptions & { readonly threads?: number },
  ): Promise<TrainingStep> {
    graph.output("loss", loss);
    appendAdamW(graph, loss, trained, options);
    const session = await Session.load(graph.toBytes(), {
      config: { "session.intra_op.spin_duration_us": SPIN_MICROSECONDS },
      ...(options.threads === undefined ? {} : { threads: options.threads }),
    });
    const step = new TrainingStep(session, matrixFlops(graph), options);
    step.#bindScalars();
    const isTrained = new Set(trained);
    for (const parameter of parameters) step.#bindParameter(parameter, isTrained.has(parameter), state);
    return step;
  }

  /** Runs one step on a batch. `count` counts the optimizer's steps from 1. */
  async run(feeds: Feeds, learningRate: number, count: number): Promise<StepResult> {
    const { beta1, beta2 } = this.#options;
    this.#scalars.learningRate[0] = learningRate;
    this.#scalars.meanCorrection[0] = 1 / (1 - beta1 ** count);
    this.#scalars.varianceCorrection[0] = 1 / Math.sqrt(1 - beta2 ** count);
    for (const [name, value] of Object.entries(feeds)) this.#binding.input(name, value);
    await this.#binding.run();
    return {
      loss: this.#scalars.loss[0] ?? Number.NaN,
      gradientNorm: this.#scalars.gradientNorm[0] ?? Number.NaN,
    };
  }

  [Symbol.dispose](): void {
    this.#binding[Symbol.dispose]();
    for (const value of this.#values) value[Symbol.dispose]();
    this.#session[Symbol.dispose]();
  }

  #bindScalars(): void {
    const { learningRate, meanCorrection, varianceCorrection, loss, gradientNorm } = this.#scalars;
    this.#binding.input(OPTIMIZER_IO.learningRate, this.#wrap(learningRate, []));
    this.#binding.input(OPTIMIZER_IO.meanCorrection, this.#wrap(meanCorrection, []));
    this.#binding.input(OPTIMIZER_IO.varianceCorrection, this.#wrap(varianceCorrection, []));
    this.#binding.output("loss", this.#wrap(loss, []));
    this.#binding.output(OPTIMIZER_IO.gradientNorm, this.#wrap(gradientNorm, []));
  }

  #bindParameter(parameter: Tensor, isTrained: boolean, state: TrainingState): void {
    const shape = staticShape(parameter);
    const { name } = parameter;
    const stored = state.parameters.get(name);
    if (!stored) throw new Error(`${name} is not in the training state.`);
    this.#bindInPlace(name, stored.data, shape, isTrained);
    if (!isTrained) return;
    for (const moment of [OPTIMIZER_IO.mean(name), OPTIMIZER_IO.variance(name)]) {
      this.#bindInPlace(moment, state.moment(moment, shape).data, shape, true);
    }
  }

  #bindInPlace(name: string, data: Float32Array, shape: readonly number[], isUpdated: boolean): void {
    const value = this.#wrap(data, shape);
    this.#binding.input(name, value);
    if (isUpdated) this.#binding.output(OPTIMIZER_IO.next(name), value);
  }

  #wrap(data: Float32Array, shape: readonly number[]): Value {
    const value = Value.wrap("float32", data, shape);
    this.#values.push(value);
    return value;
  }
}
