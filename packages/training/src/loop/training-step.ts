/** A training step is forward, backward, clipping and AdamW in one graph, which updates the state's values in place. */
import { type Graph, matrixFlops, staticShape, type Tensor } from "@llava/onnx";
import { type Binding, Session, Value } from "@llava/runtime";
import type { Feeds } from "../data/batch-buffer.ts";
import { type AdamWOptions, appendAdamW, OPTIMIZER_IO } from "../optimizer/adamw.ts";
import type { Parameter, TrainingState } from "../state/training-state.ts";

/**
 * Time that an idle thread of the runtime spins before it sleeps. A step is thousands of small operators in a row: at
 * 50 µs the waking alone took a quarter of the demo's instruction step (1.67 s against 1.25 s).
 */
const SPIN_MICROSECONDS = "2000";

export interface StepResult {
  readonly loss: number;
  readonly gradientNorm: number;
}

export interface StepOptions {
  readonly optimizer: AdamWOptions;
  /** Threads of the runtime; as many as physical cores when left out. */
  readonly threads?: number | undefined;
}

export class TrainingStep implements Disposable {
  /** Number of floating-point operations in the matrix products of one step. */
  readonly flops: number;
  readonly #session: Session;
  readonly #binding: Binding;
  readonly #optimizer: AdamWOptions;
  readonly #scalarValues: Value[] = [];
  readonly #scalars = {
    learningRate: new Float32Array(1),
    meanCorrection: new Float32Array(1),
    varianceCorrection: new Float32Array(1),
    loss: new Float32Array(1),
    gradientNorm: new Float32Array(1),
  };

  private constructor(session: Session, flops: number, optimizer: AdamWOptions) {
    this.#session = session;
    this.#binding = session.bind();
    this.flops = flops;
    this.#optimizer = optimizer;
  }

  /**
   * Compiles the step on the state's device. The values of `trained` are input and output of each run; those of the other
   * parameters, which the state has already, are only read.
   */
  static async compile(
    objective: StepObjective,
    trained: readonly Tensor[],
    state: TrainingState,
    { optimizer, threads }: StepOptions,
  ): Promise<TrainingStep> {
    const { graph, loss, parameters } = objective;
    graph.output("loss", loss);
    appendAdamW(graph, loss, trained, optimizer);
    const session = await Session.load(graph.toBytes(), {
      device: state.device,
      config: { "session.intra_op.spin_duration_us": SPIN_MICROSECONDS },
      ...(threads === undefined ? {} : { threads }),
    });
    using unfinished = new DisposableStack();
    const step = unfinished.use(new TrainingStep(session, matrixFlops(graph), optimizer));
    step.#bindScalars();
    const isTrained = new Set(trained);
    for (const parameter of parameters.values())
      await step.#bindParameter(parameter, isTrained.has(parameter), state);
    unfinished.move();
    return step;
  }

  /** Runs one step on a batch. `count` counts the optimizer's steps from 1. */
  async run(feeds: Feeds, learningRate: number, count: number): Promise<StepResult> {
    const { beta1, beta2 } = this.#optimizer;
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
    for (const value of this.#scalarValues) value[Symbol.dispose]();
    this.#session[Symbol.dispose]();
  }

  #bindScalars(): void {
    const { learningRate, meanCorrection, varianceCorrection, loss, gradientNorm } = this.#scalars;
    this.#binding.input(OPTIMIZER_IO.learningRate, this.#scalar(learningRate));
    this.#binding.input(OPTIMIZER_IO.meanCorrection, this.#scalar(meanCorrection));
    this.#binding.input(OPTIMIZER_IO.varianceCorrection, this.#scalar(varianceCorrection));
    this.#binding.output("loss", this.#scalar(loss));
    this.#binding.output(OPTIMIZER_IO.gradientNorm, this.#scalar(gradientNorm));
  }

  async #bindParameter(parameter: Tensor, isTrained: boolean, state: TrainingState): Promise<void> {
    const { name } = parameter;
    if (!isTrained) {
      this.#binding.input(name, state.value(name));
      return;
    }
    this.#bindInPlace(name, state.value(name));
    for (const moment of [OPTIMIZER_IO.mean(name), OPTIMIZER_IO.variance(name)])
      this.#bindInPlace(moment, await state.moment(moment, staticShape(parameter)));
  }

  #bindInPlace(name: string, value: Parameter): void {
    this.#binding.input(name, value);
    this.#binding.output(OPTIMIZER_IO.next(name), value);
  }

  /** A value on the host, which the runtime sends to the device or fetches from it with each run. */
  #scalar(data: Float32Array): Value {
    const value = Value.wrap("float32", data, []);
    this.#scalarValues.push(value);
    return value;
  }
}

/** The parts of an objective that a step is compiled from. */
interface StepObjective {
  readonly graph: Graph;
  readonly loss: Tensor;
  readonly parameters: ReadonlyMap<string, Tensor>;
}
