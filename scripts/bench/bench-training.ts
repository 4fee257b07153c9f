/** Measures how much of the machine the trainer uses: its whole step in turns with one large matrix product. */
import { Graph, matMul } from "@llava/onnx";
import { type Binding, Session, Value } from "@llava/runtime";
import { BatchBuffer, compilePhase, type Phase, TrainingState, type TrainingStep } from "@llava/training";
import { demoPhases } from "@llava/demo";
import { median, type Row, timed } from "./results/bench-row.ts";

export interface TrainingBenchOptions {
  /** Number of turns of the step and the product. */
  readonly repeat: number;
  readonly threads: number | undefined;
}

const PHASE = "instruction";
/** Steps after which ONNX Runtime has its memory: the first run finds the pattern of allocations, the second one follows it. */
const WARM_STEPS = 2;
/** Edge of the square matrices: 17 GFLOP, far larger than any cache. */
const EDGE = 2048;
const PRODUCT_FLOPS = 2 * EDGE ** 3;
/** Number of products in each turn, which together take about as long as one step. */
const PRODUCTS_PER_TURN = 3;
/** Options of the trainer's sessions, so that the threads of both sides wake as quickly. */
const CONFIG = { "session.intra_op.spin_duration_us": "2000" };

export async function benchTraining({ repeat, threads }: TrainingBenchOptions): Promise<Row[]> {
  const phase = demoPhases().find(({ name }) => name === PHASE);
  if (!phase) throw new Error(`The demo's recipe has no phase ${PHASE}.`);
  using trainer = await Trainer.prepare(phase, threads);
  using product = await Product.prepare(threads);
  await product.run();
  await trainer.run();
  const steps: number[] = [];
  const products: number[] = [];
  for (let turn = 0; turn < repeat; turn++) {
    for (let i = 0; i < PRODUCTS_PER_TURN; i++) products.push(await timed(() => product.run()));
    steps.push(await timed(() => trainer.run()));
  }
  return rowsOf(trainer, steps, products);
}

function rowsOf(
  { flops, batchMs, compileMs, weightBytes, madeBytes, grownBytes }: Trainer,
  steps: readonly number[],
  products: readonly number[],
): Row[] {
  const rate = (work: number, ms: number): number => work / ms / 1e6;
  const ratio = (of: (values: readonly number[]) => number): number =>
    rate(flops, of(steps)) / rate(PRODUCT_FLOPS, of(products));
  const least = (values: readonly number[]): number => Math.min(...values);
  const taken = `median of ${steps.length}`;
  const rows: [string, number, string, string][] = [
    ["whole step", median(steps), "ms", `${PHASE} phase, forward, backward, clipping, AdamW; ${taken}`],
    [
      "whole step",
      rate(flops, median(steps)),
      "GFLOP/s",
      `${(flops / 1e9).toFixed(0)} GFLOP in matrix products`,
    ],
    [
      `${EDGE}³ MatMul`,
      rate(PRODUCT_FLOPS, median(products)),
      "GFLOP/s",
      `float32, in turns with the step; median of ${products.length}`,
    ],
    ["ratio of medians", ratio(median), "", "should be at least 0.6"],
    ["ratio of the best", ratio(least), "", "of the quickest step to the quickest product"],
    ["making a batch", batchMs, "ms", "overlaps with the step before it"],
    ["compiling", compileMs, "ms", "graph, gradients, session"],
    ["weights and moments", weightBytes / 1e6, "MB", "updated in place by every step"],
    ["arrays made by steps", madeBytes / 1e6, "MB", "by all steps together; 0 when none copies its values"],
    ["process grown by steps", grownBytes / 1e6, "MB", `largest resident size since step ${WARM_STEPS}`],
  ];
  return rows.map(([name, value, unit, note]) => ({ part: "training", name, value, unit, note }));
}

/** The step of a phase on one batch of its real data. */
class Trainer implements Disposable {
  readonly batchMs: number;
  readonly compileMs: number;
  readonly weightBytes: number;
  readonly #step: TrainingStep;
  readonly #state: TrainingState;
  readonly #batch: BatchBuffer;
  #count = 0;
  #madeBytes = 0;
  #warmPeakBytes = 0;

  private constructor(
    step: TrainingStep,
    state: TrainingState,
    batch: BatchBuffer,
    { batchMs, compileMs }: { readonly batchMs: number; readonly compileMs: number },
  ) {
    this.#step = step;
    this.#state = state;
    this.#batch = batch;
    this.batchMs = batchMs;
    this.compileMs = compileMs;
    const values = [...state.parameters.values(), ...state.moments.values()];
    this.weightBytes = values.reduce((sum, value) => sum + value.data().byteLength, 0);
  }

  static async prepare(phase: Phase, threads: number | undefined): Promise<Trainer> {
    const start = performance.now();
    const state = new TrainingState();
    const { step, dataInputs } = await compilePhase(phase, state, { threads });
    const compileMs = performance.now() - start;
    const batch = new BatchBuffer(dataInputs);
    // The first one also trains the tokenizer.
    await phase.batches.fill(0, batch.arrays);
    const batchMs = await timed(() => phase.batches.fill(1, batch.arrays));
    return new Trainer(step, state, batch, { batchMs, compileMs });
  }

  get flops(): number {
    return this.#step.flops;
  }

  /** Bytes of typed arrays that all steps made, collected ones left out. */
  get madeBytes(): number {
    return this.#madeBytes;
  }

  /** Bytes by which the largest resident size of the process grew after the warm steps. */
  get grownBytes(): number {
    return peakBytes() - this.#warmPeakBytes;
  }

  async run(): Promise<void> {
    this.#count += 1;
    const before = process.memoryUsage().arrayBuffers;
    const { loss } = await this.#step.run(this.#batch.feeds, 1e-4, this.#count);
    this.#madeBytes += Math.max(0, process.memoryUsage().arrayBuffers - before);
    if (this.#count === WARM_STEPS) this.#warmPeakBytes = peakBytes();
    if (!Number.isFinite(loss)) throw new Error(`The loss is ${loss}.`);
  }

  [Symbol.dispose](): void {
    this.#step[Symbol.dispose]();
    this.#batch[Symbol.dispose]();
    this.#state[Symbol.dispose]();
  }
}

/** Largest resident size of the process so far. */
function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}

class Product implements Disposable {
  readonly #session: Session;
  readonly #binding: Binding;

  private constructor(session: Session) {
    this.#session = session;
    const matrix = (): Value =>
      Value.wrap(
        "float32",
        Float32Array.from({ length: EDGE ** 2 }, () => Math.random() - 0.5),
        [EDGE, EDGE],
      );
    this.#binding = session.bind().input("a", matrix()).input("b", matrix()).output("product", matrix());
  }

  static async prepare(threads: number | undefined): Promise<Product> {
    const graph = new Graph("product");
    const [a, b] = [graph.input("a", "float32", [EDGE, EDGE]), graph.input("b", "float32", [EDGE, EDGE])];
    graph.output("product", matMul(graph, a, b));
    const options = { config: CONFIG, ...(threads === undefined ? {} : { threads }) };
    return new Product(await Session.load(graph.toBytes(), options));
  }

  async run(): Promise<void> {
    await this.#binding.run();
  }

  [Symbol.dispose](): void {
    this.#binding[Symbol.dispose]();
    this.#session[Symbol.dispose]();
  }
}
